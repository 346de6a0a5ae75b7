import Basics

/// Which targets the agent connects to: rules in the order given, the first that matches wins.
struct EgressPolicy: Sendable {
    /// The user's rules, and the ones that always hold.
    private let rules: [EgressRule]
    /// Those behind them.
    private let presetRules: [EgressRule]
    private let nat64: [NAT64Prefix]

    /// `rules`, then ``defaultRules``, then those of `preset`, then everything is allowed.
    ///
    /// - Parameter nat64: prefixes of translators in the agent's network, besides the well-known ones.
    init(_ rules: [EgressRule], preset: EgressPreset = .all, nat64: [NAT64Prefix] = []) {
        self.rules = rules + Self.defaultRules
        self.presetRules = preset.rules
        self.nat64 = nat64
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
        let rules = (self.rules + self.presetRules).filter { $0.concerns(port: port) }
        return Self.permitsSome(in: .all(.v4), rules[...]) || Self.permitsSome(in: .all(.v6), rules[...])
    }

    /// Whether `rules` permit some address of `block`. Cuts the block in halves until one rule decides on each part.
    private static func permitsSome(in block: AddressBlock, _ rules: ArraySlice<EgressRule>) -> Bool {
        for (index, rule) in zip(rules.indices, rules) {
            if rule.blocks.contains(where: { $0.contains(block) }) {
                return rule.action == .allow
            }
            if rule.blocks.contains(where: { block.contains($0) }), let halves = block.halves {
                // The rules in front have nothing to do with this block, so not with its halves either.
                return Self.permitsSome(in: halves.lower, rules[index...])
                    || Self.permitsSome(in: halves.upper, rules[index...])
            }
        }
        return true
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
