package import NIOCore

/// Tells which of the addresses that somebody uses this machine has lost, as a rule only when they have been away for 2 s:
/// one that is configured anew or waits for a lease comes back. Belongs to its event loop.
package final class LostAddressWatch {
    /// How long an address may be away if nothing else is said.
    package static let patience = TimeAmount.seconds(2)

    private let eventLoop: any EventLoop
    private let patience: TimeAmount
    /// The addresses in use now; ports are of no importance.
    private let used: () -> Set<SocketAddress>
    /// Told of those that are lost, in the form in which they are used.
    private let lost: (Set<SocketAddress>) -> Void
    private let isAssigned: (SocketAddress) -> Bool
    private var subscription: AddressSubscription?

    /// - Parameters:
    ///   - patience: how long an address may be away.
    ///   - isAssigned: whether this machine has an address now.
    ///   - used: asked after each change of this machine's addresses.
    ///   - lost: called with those of `used` that have been away for so long.
    package init(
        eventLoop: any EventLoop, monitor: AddressMonitor = .shared, patience: TimeAmount = patience,
        isAssigned: @escaping (SocketAddress) -> Bool = LocalAddress.isAssigned,
        used: @escaping () -> Set<SocketAddress>, lost: @escaping (Set<SocketAddress>) -> Void
    ) {
        self.eventLoop = eventLoop
        self.patience = patience
        self.isAssigned = isAssigned
        self.used = used
        self.lost = lost
        self.subscription = monitor.subscribe(on: eventLoop) { [weak self] _ in self?.look() }
    }

    /// Addresses may have gone: looks now, and once more before it tells.
    package func look() {
        let missing = self.missing(of: self.used())
        guard !missing.isEmpty else { return }
        guard self.patience > .zero else { return self.lost(missing) }
        self.eventLoop.assumeIsolated().scheduleTask(in: self.patience) { [weak self] in
            guard let self else { return }
            let lost = self.missing(of: missing)
            if !lost.isEmpty { self.lost(lost) }
        }
    }

    private func missing(of addresses: Set<SocketAddress>) -> Set<SocketAddress> {
        // Thousands of flows share an address, each with a port of its own.
        var known: [SocketAddress: Bool] = [:]
        return addresses.filter { address in
            var host = address
            host.port = 0
            if let isAssigned = known[host] { return !isAssigned }
            let isAssigned = self.isAssigned(host)
            known[host] = isAssigned
            return !isAssigned
        }
    }
}

@available(*, unavailable)
extension LostAddressWatch: Sendable {}
