import NIOCore

extension NetworkState {
    /// As it is now. Throws `IOError`. Addresses that cannot be used yet are not told from others.
    static func current() throws(IOError) -> NetworkState {
        NetworkState(
            addresses: self.usable(try InterfaceAddress.all()),
            internetRoutes: Set(self.distantAddresses.compactMap(NetworkRoute.lookup)))
    }
}
