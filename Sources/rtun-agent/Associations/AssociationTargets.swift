import Basics
import NIOCore

/// Where the datagrams of one association may go, within the egress policy: what has been decided once is known. No I/O.
struct AssociationTargets {
    /// Decisions that are kept; with one more all are made anew.
    private static let maximumCount = 1024

    private var decisions: [Endpoint: SocketAddress?] = [:]
    /// Of the policy that they were made by.
    private var generation: UInt64 = 0

    /// Where a datagram to `endpoint`, which is at one of `addresses`, goes; nil: nowhere.
    ///
    /// - Parameter isUsable: whether there is a way to an address, where there are several.
    mutating func destination(
        of endpoint: Endpoint, at addresses: [IPAddress], by rules: EgressRules, isUsable: (SocketAddress) -> Bool
    ) -> SocketAddress? {
        let generation = rules.generation
        if generation != self.generation {
            self.decisions.removeAll(keepingCapacity: true)
            self.generation = generation
        }
        if let known = self.decisions[endpoint] { return known }
        let policy = rules.policy
        // What Linux would do with an IPv4-mapped or an unspecified address, by a socket of the family that it means.
        let permitted = addresses.map(\.canonical).filter {
            !$0.isMulticast && policy.permits($0, port: endpoint.port)
        }.compactMap { $0.socketAddress(port: endpoint.port) }
        let destination = permitted.count > 1 ? permitted.first(where: isUsable) ?? permitted.first : permitted.first
        if self.decisions.count >= Self.maximumCount { self.decisions.removeAll(keepingCapacity: true) }
        self.decisions[endpoint] = .some(destination)
        return destination
    }

    /// Whether the name of `endpoint` need not be looked up, since no address may be gone to that it may have. This is known
    /// from then on.
    mutating func isHopeless(_ endpoint: Endpoint, by rules: EgressRules) -> Bool {
        guard !rules.policy.permitsSomeAddress(port: endpoint.port) else { return false }
        return self.destination(of: endpoint, at: [], by: rules) { _ in false } == nil
    }

    /// What is known of `endpoint`, by rules that still hold; nil when nothing is.
    func known(_ endpoint: Endpoint, by rules: EgressRules) -> SocketAddress?? {
        rules.generation == self.generation ? self.decisions[endpoint] : nil
    }
}

extension IPAddress {
    /// Whether it stands for several machines, or none: multicast, broadcast, and what is reserved (RFC 1112 §4,
    /// RFC 4291 §2.7). No connection can be made there either.
    fileprivate var isMulticast: Bool {
        switch self.family {
        case .v4: self.bits >> 28 >= 0xE
        case .v6: self.bits >> 120 == 0xFF
        }
    }
}
