import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing
import UDPRelay

@testable import RelayChannel

@Suite struct RelayMeterTests {
    /// Keeps what is written.
    private struct Log: LogHandler {
        final class Lines: Sendable {
            let lines = Mutex<[Logger.Metadata]>([])
            var events: [String] { self.lines.withLock { $0.map { $0["event"]?.description ?? "" } } }
        }
        let record: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            self.record.lines.withLock { $0.append(event.metadata ?? [:]) }
        }
    }

    private let eventLoop = EmbeddedEventLoop()
    private let log = Log.Lines()

    private func meter(maximumFlows: Int = 7) -> RelayMeter {
        let log = self.log
        return RelayMeter(
            maximumFlows: maximumFlows, eventLoop: self.eventLoop,
            logger: Logger(label: "test") { _ in Log(record: log) })
    }

    @Test func `what is too large is counted and told with size and limit`() throws {
        var meter = self.meter()
        let permitted = [1409, 1410].map { meter.permits(size: $0, limit: 1409) }
        #expect(permitted == [true, false])
        #expect(meter.statistics[.oversize] == 1)
        let line = try #require(self.log.lines.withLock { $0.first })
        #expect(line["event"] == "udp.dropped" && line["reason"] == "oversize")
        #expect(line["size"]?.description == "1410" && line["limit"]?.description == "1409")
    }

    @Test func `flows are opened no faster than at their rate, and the rest is counted`() {
        var meter = self.meter()
        let now = self.eventLoop.now
        let atOnce = (0..<1600).count { _ in meter.permitsFlow(at: now) }
        #expect(atOnce == 1500)
        #expect(meter.statistics[.flowRate] == 100)
        let later = (0..<6000).count { _ in meter.permitsFlow(at: now + .seconds(1)) }
        #expect(later == 1500)
    }

    @Test func `the events of flows are told under their names`() throws {
        var meter = self.meter()
        let flow = FlowID(rawValue: 3)
        meter.flowOpened(flow, ["source": "127.0.0.1:9"])
        meter.flowEvicted(flow, .limit)
        meter.flowClosed(flow, reason: "idle")
        meter.flowsClosed(count: 0, reason: "nothing")
        meter.flowsClosed(count: 2, reason: "all")
        meter.dropForFlowLimit()
        #expect(
            self.log.events == [
                "flow.opened", "flow.evicted", "flow.closed", "flow.closed", "flow.closed", "udp.dropped",
            ])
        #expect(meter.statistics.flowsOpened == 1)
        let lines = self.log.lines.withLock { $0 }
        #expect(lines[0]["source"] == "127.0.0.1:9" && lines[0]["flow"]?.description == "3")
        #expect(lines[1]["limit"]?.description == "7")
        #expect(lines.last?["reason"] == "flow_limit" && lines.last?["limit"]?.description == "7")
    }
}
