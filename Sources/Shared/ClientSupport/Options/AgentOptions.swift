package import AgentChoice
import ArgumentParser
package import CommandSupport
package import Logging
package import NIOCore

/// `--agent`, `--known-agents`, `--trust-on-first-use`, `--list-agents`.
package struct AgentOptions: ParsableArguments {
    @Option(
        name: .customLong("agent"),
        help: ArgumentHelp(
            "Use only agents whose whole name matches this regular expression. Of several, prefer one that never "
                + "expires, then the one that expires last.",
            valueName: "regex"),
        transform: { try Self.checked($0) })
    package private(set) var expression = ".*"

    @Option(
        name: .customLong("known-agents"),
        help: ArgumentHelp(
            "Use only agents whose key is in this file: NAME SHA256:... on a line each, as rtun-agent --print-identity prints "
                + "it. Whoever else has the name is refused, whatever the server says. Read again when it changes.",
            valueName: "file"))
    private var knownAgents: String?

    @Flag(
        name: .customLong("trust-on-first-use"),
        help: ArgumentHelp(
            "Add the first key of a name that --known-agents does not have to that file, made if there is none, and refuse "
                + "others from then on."))
    private var trustsFirstUse = false

    @Flag(name: .customLong("list-agents"), help: "Print the agents that match, and exit.")
    package var list = false

    package init() {}

    package mutating func validate() throws {
        guard !self.trustsFirstUse || self.knownAgents != nil else {
            throw ValidationError("--trust-on-first-use needs a file to keep keys in: --known-agents FILE")
        }
    }

    /// The keys that agents are known by; nil without `--known-agents`. Throws a `ProgramError`.
    package func keys(eventLoop: any EventLoop, logger: Logger) throws(ProgramError) -> AgentKeys? {
        guard let knownAgents else { return nil }
        return try AgentKeys(
            path: knownAgents, trustsFirstUse: self.trustsFirstUse, eventLoop: eventLoop, logger: logger)
    }

    /// For `--check-config`: throws what a start would throw for the file of keys.
    package func check() throws(ProgramError) {
        guard let knownAgents else { return }
        try AgentKeys.check(path: knownAgents, trustsFirstUse: self.trustsFirstUse)
    }

    /// The compiled expression; one for each event loop, as a `Regex` can't be shared.
    package func pattern() throws(AgentNamePatternError) -> AgentNamePattern {
        try AgentNamePattern(self.expression)
    }

    private static func checked(_ text: String) throws -> String {
        _ = try AgentNamePattern(text)
        return text
    }
}
