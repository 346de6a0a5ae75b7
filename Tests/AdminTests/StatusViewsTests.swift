import Basics
import CommandSupport
import FlowLedger
import Foundation
import Testing

@testable import Admin

/// A program whose names are all that a terminal, a page or a metric could take for its own.
struct HostileStatus: ProgramStatus {
    static let name = "<script>alert(1)</script>\"'&\\\n\u{1B}[2J\u{202E}%s{{x}}"

    var readiness: Readiness { .notReady(Self.name) }
    var traffic: FlowTraffic { FlowTraffic(sent: 1000, received: 2_000_000) }

    func members(_ rates: Rates) -> [JSON.Member] {
        [
            .init("name", .string(Self.name)), .init("list", [Self.name, "b"].json),
            .init("rows_total", 3),
            .init(
                "rows",
                .array([["name": .string(Self.name), "count": 7, "bytes": self.traffic.json, "path": "direct"]])),
            .init("nobody", .array([])),
        ]
    }

    func addMetrics(to metrics: inout Metrics) {
        metrics.add(.gauge, "rtun_hostile", "h", [.init([.init("agent", Self.name)], 1)])
    }

    static let layout = StatusLayout(
        name: "name", plot: "Traffic",
        facts: [
            .init("Name", "name"), .init("List", "list", .list), .init("Traffic", "traffic.bytes", .traffic),
            .init("Rate", "traffic.rate", .rates), .init("Nothing", "nothing"), .init("End", "end", .until),
            .init("Ready", "ready", .flag),
        ],
        tables: [
            .init(
                "Rows", "rows", empty: "None.",
                [
                    .init("Name", "name"), .init("Count", "count", .count), .init("Bytes", "bytes", .traffic),
                    .init("Path", "path", .path),
                ]),
            .init("Others", "nobody", empty: "Nobody.", [.init("Name", "name")]),
        ],
        counters: [.init("Seen", "rows_total", .count), .init("Unseen", "zero", .count)])
}

extension [String] {
    var json: JSON { JSON(self) }
}

@Suite struct StatusViewsTests {
    private var document: StatusDocument {
        StatusDocument(
            program: "rtun-test", status: HostileStatus(), readiness: HostileStatus().readiness, process: .now(),
            startedAt: UnixTime.milliseconds - 65_000, history: TrafficHistory(), rates: Rates())
    }

    @Test func `the document has a schema, the program, and whether it is ready`() {
        let json = self.document.json
        #expect(json["schema"] == 1)
        #expect(json["program"] == "rtun-test")
        #expect(json["ready"] == .boolean(false))
        #expect(json["not_ready_because"] == .string(HostileStatus.name))
        #expect(json.value(at: "process.pid") != nil)
        #expect(json.value(at: "traffic.bytes.sent") == .unsigned(1000))
        #expect(json.value(at: "traffic.rate") == nil)
    }

    @Test func `nothing in the document, the table or the metrics is obeyed by a terminal`() {
        let table = StatusTable(document: self.document.json, layout: HostileStatus.layout)
        for text in [self.document.json.text, table.text, self.document.metrics.text] {
            #expect(text.unicodeScalars.allSatisfy { !$0.isUnseen || $0 == "\n" })
            #expect(text.contains("alert(1)"))
        }
        #expect(!self.document.json.text.contains("\n"))
    }

    @Test func `the table shows what the layout says`() {
        let text = StatusTable(document: self.document.json, layout: HostileStatus.layout).text
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines[0].hasPrefix("rtun-test \(Software.version), up 1 min 5 s, not ready: <script>"))
        #expect(lines.contains("Traffic  ↑ 1.0 kB  ↓ 2.0 MB"))
        #expect(lines.contains("End      never"))
        #expect(lines.contains("Ready    no"))
        #expect(!text.contains("Rate ") && !text.contains("Nothing") && !text.contains("Unseen"))
        #expect(lines.contains("ROWS (3)"))
        #expect(lines.contains { $0.hasSuffix("  7      ↑ 1.0 kB  ↓ 2.0 MB  direct") })
        #expect(lines.contains("and 2 more"))
        #expect(lines.contains("Nobody."))
        #expect(lines.contains("Seen  3"))
    }

    @Test func `the page runs its own script and style only`() throws {
        let page = StatusPage(program: "rtun-test", layout: HostileStatus.layout)
        let policy = page.contentSecurityPolicy
        #expect(policy.hasPrefix("default-src 'none'; script-src 'sha256-"))
        #expect(!policy.contains("unsafe"))
        // Whatever there is in braces came from nobody else, and the script ends where it is to end.
        #expect(page.text.components(separatedBy: "<script").count == 2)
        #expect(page.text.components(separatedBy: "</script>").count == 2)
        #expect(page.text.components(separatedBy: "</style>").count == 2)
        #expect(!page.text.contains("innerHTML"))
        #expect(!page.text.contains("http://") || page.text.contains("http://www.w3.org/2000/svg"))
        #expect(!page.text.contains("https://"))
        #expect(!page.text.contains(" style="))
    }

    @Test(arguments: [
        (0.04, "0.0 ms"), (1.25, "1.3 ms"), (9.94, "9.9 ms"), (9.96, "10 ms"), (12.4, "12 ms"), (999.4, "999 ms"),
        (999.6, "1.0 s"), (3400, "3.4 s"),
    ])
    func `milliseconds are as long as they need be`(value: Double, text: String) {
        #expect(Quantity.milliseconds(value) == text)
    }
}
