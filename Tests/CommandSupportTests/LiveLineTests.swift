import NIOCore
import Testing

@testable import CommandSupport

/// A little of a terminal: printable text, line ends, and what ``LiveLine`` writes besides.
private struct Screen {
    let columns: Int
    private(set) var rows: [[Character]] = [[]]
    private var column = 0
    /// Sequences that it does not know, and rows that were left half-written.
    private(set) var mistakes: [String] = []

    init(columns: Int) { self.columns = columns }

    mutating func write(_ text: String) {
        var rest = Array(text.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\r": self.column = 0
            case "\n":
                self.rows.append([])
                self.column = 0
            case "\u{1B}":
                guard rest.starts(with: "[K".unicodeScalars) else {
                    self.mistakes.append(String(String.UnicodeScalarView(rest.prefix(4))))
                    continue
                }
                rest = rest.dropFirst(2)
                self.rows[self.rows.count - 1].removeLast(max(0, self.rows[self.rows.count - 1].count - self.column))
            default: self.put(Character(scalar))
            }
        }
    }

    private mutating func put(_ character: Character) {
        // Two columns for wide ones: the second one is empty.
        let cells: [Character] = TextWidth.columns(of: String(character)) == 2 ? [character, "\u{0}"] : [character]
        if self.column + cells.count > self.columns {
            self.rows.append([])
            self.column = 0
        }
        var row = self.rows[self.rows.count - 1]
        while row.count < self.column + cells.count { row.append(" ") }
        row.replaceSubrange(self.column..<self.column + cells.count, with: cells)
        self.rows[self.rows.count - 1] = row
        self.column += cells.count
    }

    var lines: [String] { self.rows.map { String($0.filter { $0 != "\u{0}" }) } }
}

@Suite struct LiveLineTests {
    @Test func `log lines go above the live line, which stays the last`() {
        var screen = Screen(columns: 40)
        var live = LiveLine()
        screen.write(live.above("first\n", columns: 40))
        screen.write(live.show("office, direct, 12 ms", columns: 40))
        #expect(screen.lines == ["first", "office, direct, 12 ms"])
        screen.write(live.show("office, 9 ms", columns: 40))
        #expect(screen.lines == ["first", "office, 9 ms"])
        screen.write(live.above("second line\n", columns: 40))
        screen.write(live.above("third\n", columns: 40))
        #expect(screen.lines == ["first", "second line", "third", "office, 9 ms"])
        screen.write(live.clear())
        #expect(screen.lines == ["first", "second line", "third", ""])
        screen.write(live.above("last\n", columns: 40))
        #expect(screen.lines == ["first", "second line", "third", "last", ""])
        #expect(screen.mistakes.isEmpty)
    }

    @Test(
        arguments: [1, 2, 3, 5, 10, 13, 20, 80], ["office, direct, 12 ms", "日本のサーバー, direct", "e\u{301}cole 日本", ""])
    func `it takes one row, however narrow the terminal is`(columns: Int, text: String) {
        var screen = Screen(columns: columns)
        var live = LiveLine()
        for round in 0..<3 {
            screen.write(live.show(text + "\(round)", columns: columns))
            #expect(screen.lines.count == round + 1)
            screen.write(live.above("x\n", columns: columns))
        }
        screen.write(live.clear())
        #expect(screen.lines == ["x", "x", "x", ""])
    }

    @Test func `nothing to show wipes it, and it comes back`() {
        var screen = Screen(columns: 40)
        var live = LiveLine()
        screen.write(live.show("a", columns: 40))
        screen.write(live.show(nil, columns: 40))
        #expect(screen.lines == [""])
        screen.write(live.above("x\n", columns: 40))
        screen.write(live.show("b", columns: 40))
        #expect(screen.lines == ["x", "b"])
    }

    @Test func `without one, lines are written as they are`() {
        var live = LiveLine()
        #expect(live.above("x\n", columns: 40) == "x\n")
        #expect(live.clear() == "")
        #expect(live.show(nil, columns: 40) == "")
    }

    @Test func `in the background the rows of others are left alone`() {
        var live = LiveLine()
        _ = live.show("a", columns: 40)
        live.leave()
        #expect(live.above("x\n", columns: 40) == "x\n")
        #expect(live.clear() == "")
    }

    @Test(arguments: [
        ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abcd", 1, "…"), ("abcd", 0, ""), ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("", 0, ""),
    ])
    func `text is cut to so many columns`(text: String, columns: Int, cut: String) {
        #expect(TextWidth.cut(text, to: columns) == cut)
    }
}

@Suite struct LiveMeterTests {
    private let start = NIODeadline.uptimeNanoseconds(5)

    private func status(
        _ channels: [LiveStatus.Channel], out: UInt64 = 0, back: UInt64 = 0, connections: Int? = 3, flows: Int? = nil
    ) -> LiveStatus {
        var status = LiveStatus()
        status.channels = channels
        status.bytesOut = out
        status.bytesIn = back
        status.connections = connections
        status.flows = flows
        return status
    }

    private let office = LiveStatus.Channel(agent: "office", path: "direct", roundTripTime: .milliseconds(12))

    @Test func `rates are what has passed since the last time`() {
        var meter = LiveMeter(isUnicode: true)
        #expect(
            meter.text(self.status([self.office]), at: self.start)
                == "office, direct, 12 ms  ↑ 0 B/s  ↓ 0 B/s  3 connections")
        #expect(
            meter.text(self.status([self.office], out: 1_250_000, back: 340_000), at: self.start + .seconds(1))
                == "office, direct, 12 ms  ↑ 1.3 MB/s  ↓ 340 kB/s  3 connections")
        #expect(
            meter.text(self.status([self.office], out: 1_250_000, back: 540_000), at: self.start + .seconds(3))
                == "office, direct, 12 ms  ↑ 0 B/s  ↓ 100 kB/s  3 connections")
        var alone = self.status([self.office], out: 1_250_000, back: 540_000)
        alone.hasServer = false
        #expect(
            meter.text(alone, at: self.start + .seconds(4))
                == "office, direct, 12 ms, no connection to the server  ↑ 0 B/s  ↓ 0 B/s  3 connections")
        // A counter that begins anew is no traffic.
        #expect(
            meter.text(self.status([self.office], connections: 1), at: self.start + .seconds(5))
                == "office, direct, 12 ms  ↑ 0 B/s  ↓ 0 B/s  1 connection")
    }

    @Test func `without a channel it says why`() {
        var meter = LiveMeter(isUnicode: false)
        var status = self.status([], connections: 0)
        #expect(meter.text(status, at: self.start) == "looking for an agent  0 connections")
        status.trouble = "no agent matches \"x\u{1B}\"; registered: office"
        #expect(
            meter.text(status, at: self.start + .seconds(1))
                == "no agent matches \"x\\u{1b}\"; registered: office  0 connections")
    }

    @Test func `rules are put together`() {
        var meter = LiveMeter(isUnicode: false)
        var all = self.status([self.office], out: 1, connections: nil, flows: 2)
        all.add(
            self.status(
                [.init(agent: "home", path: "bridge", roundTripTime: .microseconds(3440))], out: 2, connections: nil,
                flows: 5))
        var idle = LiveStatus()
        idle.idle = 1
        idle.trouble = "x"
        all.add(idle)
        #expect(
            meter.text(all, at: self.start)
                == "office+home, direct+bridge, 3.4-12 ms, 1 without an agent  out 0 B/s  in 0 B/s  7 flows")
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1234, "1.2 kB"), (9949, "9.9 kB"), (9950, "10 kB"),
            (999_499, "999 kB"), (999_500, "1.0 MB"), (340_000_000, "340 MB"), (UInt64.max, "18 EB"),
        ] as [(UInt64, String)])
    func `amounts are short`(bytes: UInt64, text: String) {
        #expect(ByteText.size(bytes) == text)
    }

    @Test(arguments: [Double.nan, .infinity, -1, 1e300])
    func `rates that make no sense do no harm`(rate: Double) {
        #expect(ByteText.rate(rate).hasSuffix("B/s"))
    }
}
