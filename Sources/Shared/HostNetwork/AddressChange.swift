package import NIOCore

/// What has become of this machine's addresses.
package struct AddressChange: Hashable, Sendable {
    package let before: NetworkState
    package let after: NetworkState
    /// The process has stood still for more than 10 s (a laptop that slept, SIGSTOP): what the others think of its
    /// connections and mappings may be out of date, even if nothing else has changed.
    package let isAfterStandstill: Bool

    package init(before: NetworkState, after: NetworkState, isAfterStandstill: Bool = false) {
        self.before = before
        self.after = after
        self.isAfterStandstill = isAfterStandstill
    }

    package var added: Set<NetworkState.Address> { self.after.addresses.subtracting(self.before.addresses) }
    package var removed: Set<NetworkState.Address> { self.before.addresses.subtracting(self.after.addresses) }
    /// Whether packets to the internet leave by another interface or router than before, or not at all.
    package var isRerouted: Bool { self.before.internetRoutes != self.after.internetRoutes }

    /// Whether this machine had `address` (whatever its port) and has it no more. False for link-local addresses, which
    /// are not watched.
    package func hasLost(_ address: SocketAddress) -> Bool {
        let octets = address.octets
        return self.before.has(octets) && !self.after.has(octets)
    }
}

extension NetworkState {
    fileprivate func has(_ octets: [UInt8]) -> Bool {
        self.addresses.contains { $0.address.octets == octets }
    }
}
