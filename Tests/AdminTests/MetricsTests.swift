import FlowLedger
import Testing

@testable import Admin

@Suite struct MetricsTests {
    @Test func `families have their help and type, and samples their labels`() {
        var metrics = Metrics()
        metrics.counter("rtun_a_total", "Things.", 5)
        metrics.gauge("rtun_b", "Others.", 0.25)
        metrics.counter("rtun_c_total", "By reason.", by: "reason", [("one", 1), ("two", .max)])
        metrics.bytes("rtun_d_bytes_total", "Bytes.", FlowTraffic(sent: 1, received: 2))
        metrics.add(.gauge, "rtun_none", "Without samples.", [])
        #expect(
            metrics.text == """
                # HELP rtun_a_total Things.
                # TYPE rtun_a_total counter
                rtun_a_total 5
                # HELP rtun_b Others.
                # TYPE rtun_b gauge
                rtun_b 0.25
                # HELP rtun_c_total By reason.
                # TYPE rtun_c_total counter
                rtun_c_total{reason="one"} 1
                rtun_c_total{reason="two"} 18446744073709551615
                # HELP rtun_d_bytes_total Bytes.
                # TYPE rtun_d_bytes_total counter
                rtun_d_bytes_total{direction="sent"} 1
                rtun_d_bytes_total{direction="received"} 2

                """)
    }

    @Test(arguments: [
        ("plain", "plain"), ("a\"b", #"a\"b"#), ("a\\b", #"a\\b"#), ("a\nb", #"a\nb"#),
        ("a\r\u{1B}[31mb", "a\u{FFFD}\u{FFFD}[31mb"),
        ("办公室", "办公室"), ("\u{202E}x", "\u{FFFD}x"), ("{}=,", "{}=,"), ("", ""),
    ])
    func `what others have chosen stays inside its label`(value: String, written: String) {
        var metrics = Metrics()
        metrics.add(.gauge, "m", "h\\\n", [Metrics.Sample([.init("agent", value)], 1)])
        #expect(metrics.text == "# HELP m h\\\\\\n\n# TYPE m gauge\nm{agent=\"\(written)\"} 1\n")
    }

    @Test func `a long label is cut`() {
        var metrics = Metrics()
        metrics.add(.gauge, "m", "h", [Metrics.Sample([.init("agent", String(repeating: "x", count: 5000))], 1)])
        #expect(metrics.text.utf8.count < 200)
    }

    @Test(arguments: [(1.5, "1.5"), (.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (1e-9, "1e-09")])
    func `numbers are as Go reads them`(value: Double, written: String) {
        var metrics = Metrics()
        metrics.gauge("m", "h", value)
        #expect(metrics.text.hasSuffix("\nm \(written)\n"))
    }
}
