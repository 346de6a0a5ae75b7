import AppProto
import CommandSupport
import LibC

/// The table that `--list-agents` prints.
struct AgentTable {
    /// In the order in which they are printed: by name.
    let agents: [AgentInfo]
    /// Says of an agent whether its key is known; nil: nobody has asked.
    private let standing: ((AgentInfo) -> String)?

    init(agents: [AgentInfo], standing: ((AgentInfo) -> String)? = nil) {
        self.standing = standing
        self.agents = agents.sorted { ($0.name, $0.instanceID.rawValue) < ($1.name, $1.instanceID.rawValue) }
    }

    /// A line of headings and a line for each agent, each ended by a line break.
    var text: String {
        var rows = [
            ["NAME", "INSTANCE", "EXPIRES", "ADDRESS", "NAT", "SOFTWARE", "IDENTITY"]
                + (self.standing == nil ? [] : ["KNOWN"]) + ["LABELS"]
        ]
        rows += self.agents.map { agent in
            [
                agent.name, agent.instanceID.rawValue, Self.time(milliseconds: agent.expireAtMilliseconds),
                agent.address, agent.mapping.description, agent.software,
                agent.key.map { agent.isKeyListed ? "\($0) (listed)" : "\($0)" } ?? "without identity",
            ] + (self.standing.map { [$0(agent)] } ?? []) + [
                agent.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
            ]
        }
        for row in rows.indices {
            for column in rows[row].indices where rows[row][column].isEmpty { rows[row][column] = "-" }
        }
        let widths = rows[0].indices.map { column in rows.map { TextWidth.columns(of: $0[column]) }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (cell, width) in zip(row, widths) {
                line += cell + String(repeating: " ", count: width - TextWidth.columns(of: cell) + 2)
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    /// UTC, to the second: `2026-11-23T21:57:32Z`.
    private static func time(milliseconds: UInt64) -> String {
        guard milliseconds != 0 else { return "never" }
        var seconds = time_t(clamping: milliseconds / 1000)
        var calendar = tm()
        // Fails for years that don't fit into an Int32.
        guard gmtime_r(&seconds, &calendar) != nil else { return "never" }
        var buffer = [CChar](repeating: 0, count: 32)
        let length = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &calendar)
        return String(decoding: buffer.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
