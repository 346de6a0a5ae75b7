package import AgentChoice
import ArgumentParser

/// `--agent`, `--list-agents`.
package struct AgentOptions: ParsableArguments {
    @Option(
        name: .customLong("agent"),
        help: ArgumentHelp(
            "Use only agents whose whole name matches this regular expression. Of several, prefer one that never "
                + "expires, then the one that expires last.",
            valueName: "regex"),
        transform: { try Self.checked($0) })
    package private(set) var expression = ".*"

    @Flag(name: .customLong("list-agents"), help: "Print the agents that match, and exit.")
    package var list = false

    package init() {}

    /// The compiled expression; one for each event loop, as a `Regex` can't be shared.
    package func pattern() throws(AgentNamePatternError) -> AgentNamePattern {
        try AgentNamePattern(self.expression)
    }

    private static func checked(_ text: String) throws -> String {
        _ = try AgentNamePattern(text)
        return text
    }
}
