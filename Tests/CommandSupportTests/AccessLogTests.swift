import FlowLedger
import LibC
import NIOCore
import Testing

@testable import CommandSupport

@Suite struct `Access log` {
    private let start = NIODeadline.uptimeNanoseconds(5_000_000_000)
    private var record: FlowRecord {
        var record = FlowRecord(
            FlowOrigin(.http, client: "192.0.2.1:1000"), target: "example.com:443", openedAt: self.start)
        record.resolved = "198.51.100.1:40000"
        record.agent = "the \"office\""
        record.path = "direct"
        record.traffic = FlowTraffic(sent: 12, received: 345)
        return record
    }

    private func line(_ format: LogFormat, _ record: FlowRecord) -> String {
        AccessLog(output: LogOutput(), format: format).line(
            record, .reset, end: self.start + .milliseconds(61_500),
            at: LogTimestamp(timespec(tv_sec: 1_700_000_000, tv_nsec: 250_000_000)))
    }

    @Test func `a line says who wanted what, which way, how much and how it ended`() {
        #expect(
            self.line(.text, self.record) == """
                2023-11-14T22:13:20.250Z start=2023-11-14T22:12:18.750Z kind=http client=192.0.2.1:1000 \
                target=example.com:443 resolved=198.51.100.1:40000 agent="the \\"office\\"" path=direct sent=12 \
                received=345 ms=61500 outcome=reset
                """)
    }

    @Test func `numbers are numbers in JSON`() {
        #expect(
            self.line(.json, self.record) == """
                {"end":"2023-11-14T22:13:20.250Z","start":"2023-11-14T22:12:18.750Z","kind":"http",\
                "client":"192.0.2.1:1000","target":"example.com:443","resolved":"198.51.100.1:40000",\
                "agent":"the \\"office\\"","path":"direct","sent":12,"received":345,"ms":61500,"outcome":"reset"}
                """)
    }

    @Test func `what is not known is left out, and what comes from outside stays on its line`() {
        let record = FlowRecord(FlowOrigin(.socks5, client: "c"), target: "a\nb=c:1", openedAt: self.start)
        let line = self.line(.text, record)
        #expect(line.contains(#" target="a\nb=c:1" sent=0 received=0 "#))
        #expect(!line.contains("agent=") && !line.contains("path="))
    }

    @Test(arguments: [
        (0, 0, "1970-01-01T00:00:00.000Z"), (1, -1, "1970-01-01T00:00:00.999Z"), (1, 1000, "1970-01-01T00:00:02.000Z"),
        (5, -4250, "1970-01-01T00:00:00.750Z"), (0, 86_400_000, "1970-01-02T00:00:00.000Z"),
    ])
    func `a time moves by milliseconds`(seconds: Int, milliseconds: Int64, text: String) {
        let time = LogTimestamp(timespec(tv_sec: seconds, tv_nsec: 0))
        // Negative parts of a second borrow one.
        #expect("\(time.advanced(by: .milliseconds(milliseconds)))" == text)
    }
}
