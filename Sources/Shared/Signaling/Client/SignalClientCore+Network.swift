import HostNetwork

/// What changes of the network mean for the control connection.
extension SignalClientCore {
    /// This machine's addresses have changed, or the process has stood still: gives up a connection that cannot work any
    /// more, looks whether one that may work does, and waits no longer for one that did not come.
    func networkChanged(_ change: AddressChange) {
        switch self.state {
        case .idle, .rereading, .ended:
            break
        case .waiting, .connecting:
            // What is being tried began in a network that is not there any more, as a lookup of the name that waits for a
            // name server out of reach. A link that comes of it is closed.
            self.retryNow()
        case .proving(let initiator):
            initiator.cancel()
            self.retryNow()
        case .connected(let connected):
            let session = connected.session
            if let local = session.localAddress, change.hasLost(local) {
                connected.connection.abandon("the connection's address \(local.ipAddress ?? "") is gone")
            } else if self.isRerouted(connected) {
                connected.connection.abandon("the route to the server has changed")
            } else {
                connected.connection.check(within: Self.checkTime)
            }
        }
    }

    /// Whether the kernel sends packets to the server otherwise than when the connection was made. Where it has no way at
    /// all, the old one may come back.
    private func isRerouted(_ connected: Connected) -> Bool {
        guard let before = connected.route, let now = connected.session.remoteAddress.flatMap(self.route) else {
            return false
        }
        return before != now
    }
}
