import Basics
import Logging

/// What an event of the log is in words, for people: for those that are seen every day a sentence made of their keys, for all
/// others their message.
struct EventWords {
    let text: String
    /// The keys that stand in the text.
    let used: Set<String>

    init(level: Logger.Level, message: String, fields: [String: String]) {
        var reader = Reader(fields: fields)
        self.text = Self.sentence(level, message, &reader) ?? message
        self.used = reader.used
    }

    /// Remembers which keys were of use.
    private struct Reader {
        let fields: [String: String]
        private(set) var used: Set<String> = []

        init(fields: [String: String]) { self.fields = fields }

        /// Nil where the key is not there, or empty.
        mutating func take(_ key: String) -> String? {
            guard let value = self.fields[key], !value.isEmpty else { return nil }
            self.used.insert(key)
            return value
        }
    }

    /// Nil where the message says it best.
    private static func sentence(_ level: Logger.Level, _ message: String, _ fields: inout Reader) -> String? {
        switch fields.fields["event"] {
        case "peer.connected":
            let path = self.path(&fields)
            return "connected to \(self.peer(&fields))\(path)"
        case "peer.path_changed":
            return self.pathChange(&fields)
        case "peer.closed":
            // The server's, which knows both.
            if let client = fields.take("client") { return self.use(ofAgentBy: client, &fields, isOver: true) }
            let given = fields.take("reason") ?? ""
            let reason = given.hasPrefix("closed: ") ? String(given.dropFirst("closed: ".count)) : given
            return "\(level >= .warning ? "no channel to" : "the channel to") \(self.peer(&fields))"
                + "\(level >= .warning ? "" : " is closed"): \(reason)"
        case "peer.opened":
            return fields.take("client").map { self.use(ofAgentBy: $0, &fields, isOver: false) }
        case "agent.selected":
            guard let place = message.place(of: "the agent"), let agent = fields.take("agent") else { return nil }
            return message[..<place.lowerBound] + agent + message[place.upperBound...]
        case "agent.gone":
            guard let agent = fields.take("agent") else { return nil }
            return "\(agent) is gone" + (fields.take("reason").map { ": \($0)" } ?? "")
        case "agent.registered":
            guard let agent = fields.take("agent") else { return nil }
            let isBack = message.hasSuffix("is back")
            return "\(agent) \(isBack ? "is back" : "has registered")"
                + (fields.take("remote").map { ", from \($0)" } ?? "")
        case "client.connected", "session.closed":
            return message + (fields.take("remote").map { ", from \($0)" } ?? "")
                + (fields.take("reason").map { ": \($0)" } ?? "")
        default:
            return nil
        }
    }

    /// Who is at the other end: an agent has a name.
    private static func peer(_ fields: inout Reader) -> String { fields.take("agent") ?? "a client" }

    /// `, direct, 12 ms`.
    private static func path(_ fields: inout Reader) -> String {
        let place = fields.fields["agent"] == nil ? fields.take("remote") : nil
        var parts: [String] = []
        switch fields.take("path") {
        case "bridge":
            parts.append("by way of the server")
            _ = fields.take("remote")
        case let path?: parts.append(place.map { "\(path) from \($0)" } ?? path)
        case nil: break
        }
        if let time = self.roundTripTime(&fields) { parts.append(time) }
        return parts.map { ", \($0)" }.joined()
    }

    private static func pathChange(_ fields: inout Reader) -> String {
        let peer = self.peer(&fields)
        let reason = fields.take("reason").map { " (\(String($0.map { $0 == "_" ? " " : $0 })))" } ?? ""
        for key in ["from", "path"] { _ = fields.take(key) }
        let time = self.roundTripTime(&fields).map { ", \($0)" } ?? ""
        switch fields.take("to") {
        case "direct": return "the path to \(peer) is direct now\(time)"
        case "bridge":
            _ = fields.take("remote")
            return "the path to \(peer) leads by way of the server now\(time)\(reason)"
        default: return "there is no path to \(peer) at the moment\(reason)"
        }
    }

    /// Milliseconds, with a decimal where that says something.
    private static func roundTripTime(_ fields: inout Reader) -> String? {
        guard let text = fields.take("rtt_ms"), let time = Double(text), (0...1e9).contains(time) else { return nil }
        return time < 10 ? "\((time * 10).rounded() / 10) ms" : "\(Int(time.rounded())) ms"
    }

    private static func use(ofAgentBy client: String, _ fields: inout Reader, isOver: Bool) -> String {
        let agent = fields.take("agent") ?? "an agent"
        _ = fields.take("kind")
        let target = fields.take("target").map { " for \($0)" } ?? ""
        guard isOver else { return "\(client) uses \(agent)\(target)" }
        for key in ["bridged_in", "bridged_out"] { _ = fields.take(key) }
        var parts: [String] = []
        if let seconds = fields.take("seconds") { parts.append("after \(seconds) s") }
        if let bytes = fields.take("bridged_bytes"), bytes != "0" {
            parts.append("\(UInt64(bytes).map(ByteText.size) ?? bytes) by way of the server")
        }
        return "\(client) uses \(agent)\(target) no more" + parts.map { ", \($0)" }.joined()
            + (fields.take("reason").map { ": \($0)" } ?? "")
    }
}
