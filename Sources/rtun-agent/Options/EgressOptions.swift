import ArgumentParser
import Synchronization

/// `--allow`, `--deny` and the limits.
struct EgressOptions: ParsableArguments {
    @Option(
        name: .customLong("allow"),
        help: ArgumentHelp(
            "Allow connections and datagrams to these addresses and ports. Repeatable; of all --allow and --deny the first that matches "
                + "decides. In the end link-local and cloud metadata addresses are denied, everything else is allowed.",
            valueName: "cidr[:ports]"),
        transform: { try OrderedRule(.allow, parsing: $0) })
    private var allowed: [OrderedRule] = []

    @Option(
        name: .customLong("deny"),
        help: ArgumentHelp(
            "Deny connections and datagrams to these addresses and ports; * stands for all addresses. Repeatable.",
            valueName: "cidr[:ports]"),
        transform: { try OrderedRule(.deny, parsing: $0) })
    private var denied: [OrderedRule] = []

    @Option(
        name: .customLong("max-peers"), help: ArgumentHelp("How many clients may be connected at once.", valueName: "n")
    )
    var maximumPeers = 256

    @Option(
        name: .customLong("max-streams"),
        help: ArgumentHelp("How many connections may be open at once, over all clients.", valueName: "n"))
    var maximumStreams = 4096

    @Option(
        name: .customLong("max-flows"),
        help: ArgumentHelp(
            "How many UDP flows of relays there may be at once, over all clients; each takes a local port.",
            valueName: "n"))
    var maximumFlows = 16_384

    mutating func validate() throws {
        guard self.maximumPeers > 0 else { throw ValidationError("--max-peers must be at least 1") }
        guard self.maximumStreams > 0 else { throw ValidationError("--max-streams must be at least 1") }
        guard self.maximumFlows > 0 else { throw ValidationError("--max-flows must be at least 1") }
    }

    /// The rules of both options in the order in which they were given.
    var rules: [EgressRule] {
        (self.allowed + self.denied).sorted { $0.position < $1.position }.map(\.rule)
    }
}

/// A rule that remembers its place on the command line.
///
/// ArgumentParser collects each option's values in an array of its own, so the order between `--allow` and `--deny` would
/// be lost; but it reads the command line from left to right.
private struct OrderedRule {
    private static let nextPosition = Atomic<Int>(0)

    let rule: EgressRule
    let position: Int

    init(_ action: EgressRule.Action, parsing text: String) throws(EgressRuleError) {
        self.rule = try EgressRule(action, parsing: text)
        self.position = Self.nextPosition.wrappingAdd(1, ordering: .relaxed).oldValue
    }
}
