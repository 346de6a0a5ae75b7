import ArgumentParser
import Basics
import Synchronization

/// `--allow`, `--deny`, `--egress` and the limits.
struct EgressOptions: ParsableArguments {
    @Option(
        name: .customLong("allow"),
        help: ArgumentHelp(
            "Allow connections and datagrams to these addresses and ports. Repeatable; the first --allow or --deny that "
                + "matches decides. If none does, link-local and cloud metadata addresses are denied, and --egress "
                + "decides about the rest.",
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
        name: .customLong("egress"),
        help: ArgumentHelp(
            "What is allowed if no --allow or --deny matches: all, internet (public addresses only), or lan (private "
                + "ranges only, without loopback).",
            valueName: "all|internet|lan"))
    var preset = EgressPreset.all

    @Option(
        name: .customLong("nat64-prefix"),
        help: ArgumentHelp(
            "Prefix of a NAT64 in the agent's network, with 32, 40, 48, 56, 64 or 96 bits. A --deny for an IPv4 address "
                + "also applies behind it. 64:ff9b::/96 and 64:ff9b:1::/48 are always known. Repeatable.",
            valueName: "cidr"),
        transform: Self.nat64Prefix)
    var nat64Prefixes: [NAT64Prefix] = []

    @Option(
        name: .customLong("p2p-allow"),
        help: ArgumentHelp(
            "Look for direct paths to these addresses even if a rule denies them as targets. Repeatable.",
            valueName: "cidr"),
        transform: Self.block)
    var candidateExceptions: [AddressBlock] = []

    @Option(
        name: .customLong("max-peers"),
        help: ArgumentHelp(
            "How many peer channels may be up at once: one for each rtun-socks, one for each rule of an rtun-relay.",
            valueName: "n"))
    var maximumPeers = 256

    @Option(
        name: .customLong("max-streams"),
        help: ArgumentHelp(
            "How many TCP connections and UDP associations may be open at once, for all clients together.",
            valueName: "n"))
    var maximumStreams = 4096

    @Option(
        name: .customLong("max-flows"),
        help: ArgumentHelp(
            "How many UDP flows of relays, and UDP sockets of proxies' clients, there may be at once, for all clients "
                + "together. Each takes a local port.",
            valueName: "n"))
    var maximumFlows = 16_384

    /// What can change while the agent runs.
    static let atRunTime: Set<String> = ["allow", "deny", "egress", "nat64-prefix", "p2p-allow"]

    mutating func validate() throws {
        guard self.maximumPeers > 0 else { throw ValidationError("--max-peers must be at least 1") }
        guard self.maximumStreams > 0 else { throw ValidationError("--max-streams must be at least 1") }
        guard self.maximumFlows > 0 else { throw ValidationError("--max-flows must be at least 1") }
    }

    /// The rules of both options in the order in which they were given.
    var rules: [EgressRule] {
        (self.allowed + self.denied).sorted { $0.position < $1.position }.map(\.rule)
    }

    /// The same as they were given: `allow 10.0.0.0/8:80`.
    var ruleTexts: [String] { (self.allowed + self.denied).sorted { $0.position < $1.position }.map(\.text) }

    /// Where targets may be.
    var policy: EgressPolicy { EgressPolicy(self.rules, preset: self.preset, nat64: self.nat64Prefixes) }
    /// Where clients may be looked for directly.
    var candidatePolicy: EgressPolicy { .candidates(self.rules, exceptions: self.candidateExceptions) }

    private static func block(_ text: String) throws -> AddressBlock {
        do { return try AddressBlock(parsing: text) } catch { throw ValidationError("\"\(text)\": \(error)") }
    }

    private static func nat64Prefix(_ text: String) throws -> NAT64Prefix {
        guard let prefix = NAT64Prefix(try Self.block(text)) else {
            throw ValidationError(
                "\"\(text)\" is not an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits, such as 2001:db8:64::/96")
        }
        return prefix
    }
}

/// A rule that remembers its place on the command line.
///
/// ArgumentParser collects each option's values in an array of its own, so the order between `--allow` and `--deny` would
/// be lost; but it reads the command line from left to right.
private struct OrderedRule {
    private static let nextPosition = Atomic<Int>(0)

    let rule: EgressRule
    let text: String
    let position: Int

    init(_ action: EgressRule.Action, parsing text: String) throws(EgressRuleError) {
        self.rule = try EgressRule(action, parsing: text)
        self.text = "\(action) \(text)"
        self.position = Self.nextPosition.wrappingAdd(1, ordering: .relaxed).oldValue
    }
}
