import NIOCore

extension NetworkState {
    /// As it is now. Throws `IOError`. Takes some tenths of a millisecond, more on a machine with many interfaces.
    static func current() throws(IOError) -> NetworkState {
        let all = try InterfaceAddress.all()
        // Without it: an address too many for a second, and no routes.
        guard let socket = try? NetlinkSocket(groups: 0) else { return NetworkState(addresses: self.usable(all)) }
        let tentative = TentativeAddresses.current(by: socket)
        return NetworkState(
            addresses: self.usable(all, isTentative: tentative.contains),
            internetRoutes: Set(self.distantAddresses.compactMap { NetworkRoute.lookup(to: $0, by: socket) }))
    }
}
