package import Basics

/// Whether a client and an agent will find a direct path, as far as the mapping behaviour of their NATs tells.
///
/// Filtering nobody has measured: a NAT is taken to let in only the address and port that it has sent to, as most do
/// (RFC 4787 §5).
package struct PathPrediction: Hashable, Sendable {
    package enum Likelihood: Int, Comparable, Sendable {
        case likely, possible, unlikely

        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// What is known of where the two are.
    package enum Place: Sendable {
        /// Behind the same NAT, or on the same machine.
        case together
        /// One of the two reaches the server over loopback and offers loopback addresses only.
        case loopbackOfOne
        case apart
    }

    package let likelihood: Likelihood
    /// `a direct path is likely`, or why it is not.
    package let text: String

    /// - Parameter guessesPorts: whether the client takes part in a spread (`--p2p-spread`); the agent is taken to.
    package init(
        client: MappingBehavior, agent: MappingBehavior, place: Place = .apart, guessesPorts: Bool = true
    ) {
        (self.likelihood, self.text) = Self.judge(client, agent, place, guessesPorts)
    }

    private static func judge(
        _ client: MappingBehavior, _ agent: MappingBehavior, _ place: Place, _ guessesPorts: Bool
    ) -> (Likelihood, String) {
        switch place {
        case .together: return (.likely, "a direct path is likely: it has the same outside address as this machine")
        case .loopbackOfOne:
            return (
                .unlikely,
                "no direct path: only one of the two reaches the server over loopback (use the same address in both URLs)"
            )
        case .apart: break
        }
        switch (client, agent) {
        case (.udpBlocked, .udpBlocked): return (.unlikely, "no direct path: UDP is blocked on both sides")
        case (.udpBlocked, _): return (.unlikely, "no direct path: UDP is blocked on this side")
        case (_, .udpBlocked): return (.unlikely, "no direct path: UDP is blocked on its side")
        default: break
        }
        switch (client.dependsOnDestination, agent.dependsOnDestination) {
        case (true, true):
            return (.unlikely, "a direct path is unlikely: both NATs choose a new port for every destination")
        case (true, false) where agent == .none:
            return (.possible, "a direct path is possible, if no firewall in front of it insists on a port")
        case (false, true) where client == .none:
            return (.possible, "a direct path is possible, if no firewall in front of this machine insists on a port")
        case (true, false): return self.oneHardSide("this side's", guessesPorts)
        case (false, true): return self.oneHardSide("its", guessesPorts)
        case (false, false): break
        }
        if client == .unknown { return (.possible, "a direct path is possible: this side's NAT is not known") }
        if agent == .unknown { return (.possible, "a direct path is possible: it has not said how its NAT behaves") }
        return (.likely, "a direct path is likely")
    }

    private static func oneHardSide(_ whose: String, _ guessesPorts: Bool) -> (Likelihood, String) {
        let reason = "\(whose) NAT chooses a new port for every destination"
        return guessesPorts
            ? (.possible, "a direct path is possible after some seconds of guessing ports: \(reason)")
            : (.unlikely, "a direct path is unlikely: \(reason), and --p2p-spread 0 guesses none")
    }
}
