import Basics
import NIOCore

/// Which targets the agent connects to: rules in the order given, the first that matches wins.
struct EgressPolicy: Sendable {
    /// The user's rules, and the ones that always hold.
    private let rules: [EgressRule]
    /// Those behind them.
    private let presetRules: [EgressRule]
    private var nat64: [NAT64Prefix]
    /// What has to permit a target, too.
    private var others: [EgressPolicy] = []

    /// `rules`, then ``defaultRules``, then those of `preset`, then everything is allowed.
    ///
    /// - Parameter nat64: prefixes of translators in the agent's network, besides the well-known ones.
    init(_ rules: [EgressRule], preset: EgressPreset = .all, nat64: [NAT64Prefix] = []) {
        self.rules = rules + Self.defaultRules
        self.presetRules = preset.rules
        self.nat64 = nat64
    }

    /// `rules`, then everything is allowed: a part of the policy of an agent, see ``within(_:)``.
    init(only rules: [EgressRule]) {
        self.rules = rules
        self.presetRules = []
        self.nat64 = []
    }

    /// Permits what both permit, in the network of the wider one.
    func within(_ wider: EgressPolicy) -> EgressPolicy {
        var both = wider
        both.others.append(self.inNetwork(of: wider))
        return both
    }

    /// The same, behind the translators of another one.
    func inNetwork(of other: EgressPolicy) -> EgressPolicy {
        var policy = self
        policy.nat64 = other.nat64
        return policy
    }

    /// Link-local addresses, and the addresses at which clouds hand credentials to whoever asks from inside.
    static let defaultRules = [
        "169.254.0.0/16",  // RFC 3927; 169.254.169.254 is where most clouds answer
        "fe80::/10",  // RFC 4291 §2.5.6
        "fd00:ec2::254",  // AWS
        "fd20:ce::254",  // Google Cloud
        "100.100.100.200",  // Alibaba Cloud
        "168.63.129.16",  // Azure
    ].compactMap { try? EgressRule(.deny, parsing: $0) }

    /// Whether a connection to `address` and `port` may be made.
    ///
    /// A deny rule also holds for an IPv6 address that has a denied IPv4 address embedded; an allow rule only for the
    /// address itself.
    func permits(_ address: IPAddress, port: UInt16) -> Bool {
        self.permitsAlone(address, port: port) && self.others.allSatisfy { $0.permits(address, port: port) }
    }

    /// The same for an address as sockets have it.
    func permits(_ target: SocketAddress) -> Bool {
        IPAddress(target).map { self.permits($0, port: target.packedPort) } ?? false
    }

    private func permitsAlone(_ address: IPAddress, port: UInt16) -> Bool {
        let embedded = address.embeddedIPv4(nat64: self.nat64).map(\.canonical)
        let address = address.canonical
        for rule in self.rules where rule.concerns(port: port) {
            let isDenial = rule.action == .deny
            let isConcerned = rule.blocks.contains { block in
                block.contains(address) || isDenial && embedded.contains(where: block.contains)
            }
            if isConcerned { return !isDenial }
        }
        // A preset speaks of networks: what lies behind a translator is where its IPv4 address is.
        for rule in self.presetRules {
            let isDenial = rule.action == .deny
            let concerned = ([address] + embedded).map { address in rule.blocks.contains { $0.contains(address) } }
            if isDenial ? concerned.contains(true) : !concerned.contains(false) { return !isDenial }
        }
        return true
    }

    /// Whether there is any address at all that ``permits(_:port:)`` at `port`. When not, a name need not be resolved.
    func permitsSomeAddress(port: UInt16) -> Bool {
        let lists = ([self] + self.others).map { policy in
            (policy.rules + policy.presetRules).filter { $0.concerns(port: port) }[...]
        }
        return Self.permitsSome(in: .all(.v4), lists) || Self.permitsSome(in: .all(.v6), lists)
    }

    /// Whether all of `lists` permit some address of `block`. Cuts the block in halves until one rule of each decides on each
    /// part.
    private static func permitsSome(in block: AddressBlock, _ lists: [ArraySlice<EgressRule>]) -> Bool {
        var undecided: [ArraySlice<EgressRule>] = []
        for rules in lists {
            // The rules in front have nothing to do with this block, so not with its halves either.
            guard let index = rules.firstIndex(where: { $0.concerns(block) }) else { continue }
            guard rules[index].decides(on: block) else {
                undecided.append(rules[index...])
                continue
            }
            if rules[index].action == .deny { return false }
        }
        guard !undecided.isEmpty, let halves = block.halves else { return undecided.isEmpty }
        return Self.permitsSome(in: halves.lower, undecided) || Self.permitsSome(in: halves.upper, undecided)
    }
}

extension EgressRule {
    /// Whether the rule is about all of a block.
    fileprivate func decides(on block: AddressBlock) -> Bool { self.blocks.contains { $0.contains(block) } }

    /// Whether it is about a part of a block.
    fileprivate func concerns(_ block: AddressBlock) -> Bool {
        self.blocks.contains { $0.contains(block) || block.contains($0) }
    }
}

extension EgressPolicy {
    /// Where connectivity checks may go that a client asks for with its candidates: not where targets may not be. Rules
    /// about all addresses say nothing of a network to be kept from, and an agent with nothing but a list of allowed targets
    /// is to find direct paths, too.
    ///
    /// - Parameters:
    ///   - rules: those of the operator.
    ///   - exceptions: blocks that are allowed all the same (`--p2p-allow`).
    static func candidates(_ rules: [EgressRule], exceptions: [AddressBlock]) -> EgressPolicy {
        let named = rules.filter { $0.action == .allow || !$0.blocks.contains { $0.prefixLength == 0 } }
        return EgressPolicy([EgressRule(.allow, exceptions)] + named)
    }
}
