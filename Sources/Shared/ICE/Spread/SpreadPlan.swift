package import NIOCore

/// What one side does about a NAT whose mapping depends on the destination (RFC 4787 §4.1), when the other side's
/// filtering lets in only the port that it was told: the one behind that NAT opens many sockets and sends from each to the
/// other side, so that the NAT has as many ports open towards it; the other side sends to many ports until one of them is
/// among these. As with birthdays, few of each are enough (docs/nat.md).
package enum SpreadPlan: Hashable, Sendable {
    /// Open `count` sockets, and send from each to the peer's mapped address, one after `pacing` each.
    case opensSockets(count: Int, pacing: TimeAmount)
    /// Send to `count` ports of the peer's NAT from one socket, one after `pacing` each.
    case probesPorts(count: Int, pacing: TimeAmount)
    /// Nothing of this.
    case none(SpreadObstacle)

    /// Probes for each socket. With 256 sockets, 1024 probes hit in 98 of 100 tries, within 10 s.
    package static let probesPerSocket = 4
    /// The whole takes no longer than this.
    package static let longestTime = TimeAmount.seconds(12)
    /// At most 150 datagrams a second: a burst of new mappings looks like an attack to some NATs.
    package static let shortestPacing = TimeAmount.nanoseconds(1_000_000_000 / 150)
    /// A hundred datagrams a second where there is time enough.
    package static let usualPacing = TimeAmount.milliseconds(10)

    /// What this side does. The peer, which decides with the two sides exchanged, does the other half.
    ///
    /// - Parameters:
    ///   - localDependsOnDestination: whether the mapping of this side's NAT does; false when it is not known.
    ///   - localSpread: how many sockets this side agrees to, 0…1024 (`--p2p-spread`); larger numbers are taken as 1024.
    ///   - peerSpread: the same of the peer, as it says; the smaller of the two counts.
    package init(
        localDependsOnDestination: Bool, peerDependsOnDestination: Bool, localSpread: Int, peerSpread: Int
    ) {
        let sockets = min(localSpread, peerSpread, Self.maximumSockets)
        switch (localDependsOnDestination, peerDependsOnDestination) {
        case (false, false): self = .none(.notNeeded)
        case (true, true): self = .none(.bothDependOnDestination)
        case _ where localSpread <= 0: self = .none(.switchedOffHere)
        case _ where peerSpread <= 0: self = .none(.switchedOffAtPeer)
        // As fast as is polite: a probe that comes before the socket misses.
        case (true, false): self = .opensSockets(count: sockets, pacing: Self.shortestPacing)
        case (false, true): self = .probes(for: sockets)
        }
    }

    /// 1024: more ports than that are more than many a NAT keeps for one customer.
    private static let maximumSockets = 1024

    private static func probes(for sockets: Int) -> SpreadPlan {
        let most = Int(Self.longestTime.nanoseconds / Self.shortestPacing.nanoseconds)
        let count = min(sockets * Self.probesPerSocket, most)
        let pacing = min(Self.usualPacing, .nanoseconds(Self.longestTime.nanoseconds / Int64(count)))
        return .probesPorts(count: count, pacing: pacing)
    }
}

/// Why there is nothing to gain by a spread.
package enum SpreadObstacle: Hashable, Sendable, CustomStringConvertible {
    /// Neither side's mapping depends on the destination: ordinary checks get through, or nothing does.
    case notNeeded
    /// Each side would have to guess two ports at once.
    case bothDependOnDestination
    case switchedOffHere
    case switchedOffAtPeer
    /// No guess would get through.
    case udpBlocked

    package var description: String {
        switch self {
        case .notNeeded:
            "no side's NAT gives each destination another port"
        case .bothDependOnDestination:
            "both sides' NATs give each destination another port, so that none can be guessed: such peers stay on the bridge"
        case .switchedOffHere:
            "port guessing is switched off here (--p2p-spread 0)"
        case .switchedOffAtPeer:
            "port guessing is switched off at the peer (--p2p-spread 0)"
        case .udpBlocked:
            "UDP is blocked on one side at least"
        }
    }
}
