import Basics
package import NIOCore

/// How a client is getting on, as the live line says it.
package struct LiveStatus: Hashable, Sendable {
    /// One channel in use.
    package struct Channel: Hashable, Sendable {
        package let agent: String
        /// The value of the log key `path`; nil while there is none.
        package let path: String?
        package let roundTripTime: TimeAmount?

        package init(agent: String, path: String?, roundTripTime: TimeAmount?) {
            self.agent = agent
            self.path = path
            self.roundTripTime = roundTripTime
        }
    }

    /// Those that take new work.
    package var channels: [Channel] = []
    /// Whether there is a connection to the server, without which channels work, but no new one can be had.
    package var hasServer = true
    /// Why there is none, or why one of several is missing; nil: it is being looked for.
    package var trouble: String?
    /// How many have no channel, of how many that want one.
    package var idle = 0
    /// Bytes so far: from this side, and to it.
    package var bytesOut: UInt64 = 0
    package var bytesIn: UInt64 = 0
    /// What is open; nil: there are none of that kind.
    package var connections: Int?
    package var flows: Int?

    package init() {}

    /// Adds another part of the same program.
    package mutating func add(_ other: LiveStatus) {
        self.channels += other.channels
        self.hasServer = self.hasServer && other.hasServer
        self.trouble = self.trouble ?? other.trouble
        self.idle += other.idle
        self.bytesOut &+= other.bytesOut
        self.bytesIn &+= other.bytesIn
        self.connections = Self.sum(self.connections, other.connections)
        self.flows = Self.sum(self.flows, other.flows)
    }

    private static func sum(_ one: Int?, _ other: Int?) -> Int? {
        guard let one, let other else { return one ?? other }
        return one + other
    }
}

/// Turns one ``LiveStatus`` after the other into text, with rates between them.
package struct LiveMeter {
    private let isUnicode: Bool
    private var last: (status: LiveStatus, at: NIODeadline)?

    /// `isUnicode`: whether the terminal shows more than ASCII.
    package init(isUnicode: Bool) { self.isUnicode = isUnicode }

    /// The live line: `office, direct, 12 ms  ↑ 1.2 MB/s  ↓ 340 kB/s  14 connections`.
    package mutating func text(_ status: LiveStatus, at now: NIODeadline) -> String {
        defer { self.last = (status, now) }
        var parts = [self.place(status)]
        if !status.channels.isEmpty {
            let (out, back) = self.rates(status, now)
            parts.append("\(self.isUnicode ? "↑" : "out") \(ByteText.rate(out))")
            parts.append("\(self.isUnicode ? "↓" : "in") \(ByteText.rate(back))")
        }
        if let connections = status.connections { parts.append(Self.count(connections, "connection")) }
        if let flows = status.flows { parts.append(Self.count(flows, "flow")) }
        return LogText.escapingControlCharacters(parts.joined(separator: "  "))
    }

    private func place(_ status: LiveStatus) -> String {
        guard !status.channels.isEmpty else { return status.trouble ?? "looking for an agent" }
        var words = [Self.distinct(status.channels.map(\.agent)).joined(separator: "+")]
        let paths = Self.distinct(status.channels.map { $0.path ?? "no path" })
        words.append(paths.joined(separator: "+"))
        let times = status.channels.compactMap(\.roundTripTime)
        if let shortest = times.min(), let longest = times.max() {
            let (low, high) = (Self.text(shortest), Self.text(longest))
            words.append(low == high ? "\(low) ms" : "\(low)-\(high) ms")
        }
        if status.idle > 0 { words.append("\(status.idle) without an agent") }
        if !status.hasServer { words.append("no connection to the server") }
        return words.joined(separator: ", ")
    }

    /// Bytes a second since the last time.
    private func rates(_ status: LiveStatus, _ now: NIODeadline) -> (out: Double, back: Double) {
        guard let last = self.last, now > last.at else { return (0, 0) }
        let seconds = Double((now - last.at).nanoseconds) / 1e9
        func rate(_ new: UInt64, _ old: UInt64) -> Double { new < old ? 0 : Double(new - old) / seconds }
        return (
            rate(status.bytesOut, last.status.bytesOut), rate(status.bytesIn, last.status.bytesIn)
        )
    }

    private static func text(_ time: TimeAmount) -> String {
        let milliseconds = time.milliseconds
        return milliseconds < 10 ? "\((milliseconds * 10).rounded() / 10)" : "\(Int(milliseconds.rounded()))"
    }

    /// In the order in which they come.
    private static func distinct(_ values: [String]) -> [String] {
        var seen: Set<String> = []
        return values.filter { seen.insert($0).inserted }
    }

    private static func count(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }
}
