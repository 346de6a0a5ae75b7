package import Basics
package import CommandSupport

/// The one sentence in which `--check` ends, and its exit code: 0 when something will work, else 69, or 77 for a refusal.
package struct CheckVerdict: Hashable, Sendable {
    package let text: String
    package let status: ExitStatus

    private init(_ text: String, _ status: ExitStatus) {
        self.text = text
        self.status = status
    }

    /// Without the server nobody finds anybody.
    package static func withoutServer(_ reason: String) -> CheckVerdict {
        CheckVerdict("nothing will work: \(reason)", .unavailable)
    }

    /// The server, or somebody in its place, does not accept our proof or we not theirs.
    package static let refused = CheckVerdict("nothing will work: the secret is refused", .refused)

    /// The server lets in listed keys only, and ours is not.
    package static let keyUnknown = CheckVerdict("nothing will work: the server does not let this key in", .refused)

    /// Every agent that matches shows a key that is none of those that it is known by.
    package static let keysRefused = CheckVerdict(
        "nothing will work: no agent that matches has a key that --known-agents has for it", .refused)

    /// `--p2p bridge`: there is nothing else.
    ///
    /// - Parameter isOffered: whether the server carries datagrams for peers.
    package static func bridgeAlone(isOffered: Bool) -> CheckVerdict {
        isOffered
            ? CheckVerdict("the server's bridge will carry all traffic, as --p2p bridge asks", .done)
            : CheckVerdict("nothing will work: --p2p bridge, and the server offers no bridge", .unavailable)
    }

    /// What an agent with such a NAT can expect.
    ///
    /// - Parameters:
    ///   - bridge: whether the server relays for peers without a direct path, and this program lets it.
    ///   - guessesPorts: whether this program takes part in a spread (`--p2p-spread`).
    package static func agent(mapping: MappingBehavior, bridge: Bool, guessesPorts: Bool = true) -> CheckVerdict {
        switch mapping {
        case .none, .endpointIndependent, .portIndependent:
            CheckVerdict("direct paths are likely", .done)
        case .unknown:
            CheckVerdict("direct paths are possible: how your NAT behaves is not known\(self.otherwise(bridge))", .done)
        case .addressDependent, .addressAndPortDependent:
            guessesPorts
                ? CheckVerdict(
                    "direct paths are possible: your NAT chooses a new port for every destination, which most clients will "
                        + "find after some seconds of guessing\(self.otherwise(bridge))", .done)
                : CheckVerdict(
                    "direct paths are unlikely: your NAT chooses a new port for every destination, so only clients that let "
                        + "in any sender will reach you\(self.otherwise(bridge))", .done)
        case .udpBlocked where bridge:
            CheckVerdict(
                "direct paths are impossible: UDP is blocked; the server's bridge will carry the traffic", .done)
        case .udpBlocked:
            CheckVerdict("nothing will work: UDP is blocked, and there is no bridge", .unavailable)
        }
    }

    /// What a client can expect of the agents that match; parameters as above.
    package static func client(
        _ predictions: [PathPrediction], mapping: MappingBehavior, bridge: Bool
    ) -> CheckVerdict {
        guard let best = predictions.map(\.likelihood).min() else {
            return CheckVerdict("nothing will work until there is a matching agent", .unavailable)
        }
        let good = predictions.count { $0.likelihood == best }
        let scope = good == predictions.count ? "" : " to \(good) of \(predictions.count) agents"
        switch best {
        case .likely:
            let rest = good == predictions.count ? "" : self.otherwise(bridge)
            return CheckVerdict("direct paths are likely\(scope)\(rest)", .done)
        case .possible:
            return CheckVerdict("direct paths are possible\(scope), but not certain\(self.otherwise(bridge))", .done)
        case .unlikely:
            let reason =
                switch mapping {
                case .udpBlocked: "UDP is blocked on this side"
                case _ where mapping.dependsOnDestination: "your NAT is \(mapping)"
                default: "the agents cannot be reached where they are"
                }
            return bridge
                ? CheckVerdict(
                    "direct paths are unlikely: \(reason); the server's bridge will carry the traffic", .done)
                : CheckVerdict("nothing is likely to work: \(reason), and there is no bridge", .unavailable)
        }
    }

    private static func otherwise(_ bridge: Bool) -> String {
        bridge ? "; the server's bridge will carry the rest" : "; there is no bridge to carry the rest"
    }
}
