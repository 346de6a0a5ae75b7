import HostNetwork
package import Logging
package import NIOCore
import Synchronization

/// A TCP connection that is looked after.
package protocol WatchedConnection: AnyObject {
    /// This machine's address of the connection, while it lives.
    var localAddress: SocketAddress? { get }
    var acknowledgements: TCPAcknowledgements? { get }
    /// The other end has vanished, or can reach us no more.
    func connectionLost()
}

/// Looks after the TCP connections of one event loop: ends those whose other end has vanished with data on its way
/// to it, and those whose local address this machine has lost. Connections without traffic are the kernel's business
/// (keepalive). Belongs to its event loop.
package final class ConnectionWatch {
    /// Between two looks at the connections.
    static let interval = TimeAmount.seconds(10)
    /// One for each event loop that has asked, for as long as the process lives.
    private static let watches = Mutex<[ObjectIdentifier: NIOLoopBound<ConnectionWatch>]>([:])

    private struct Member {
        let connection: Unowned
        var acknowledgements = AcknowledgementWatch()
    }

    /// A connection leaves before it goes.
    private struct Unowned {
        unowned let value: any WatchedConnection
    }

    private let eventLoop: any EventLoop
    private let logger: Logger
    private var members: [ObjectIdentifier: Member] = [:]
    private var timer: Scheduled<Void>?
    private var addresses: LostAddressWatch?

    /// The watch of an event loop, which is made when it is asked for the first time. On that event loop.
    package static func shared(by eventLoop: any EventLoop, logger: Logger) -> ConnectionWatch {
        eventLoop.preconditionInEventLoop()
        return self.watches.withLock { watches in
            if let watch = watches[ObjectIdentifier(eventLoop)] { return watch }
            let watch = NIOLoopBound(ConnectionWatch(eventLoop: eventLoop, logger: logger), eventLoop: eventLoop)
            // Holds the event loop, whose identifier is thus nobody else's.
            watches[ObjectIdentifier(eventLoop)] = watch
            return watch
        }.value
    }

    init(eventLoop: any EventLoop, logger: Logger) {
        self.eventLoop = eventLoop
        self.logger = logger
    }

    package func add(_ connection: any WatchedConnection) {
        self.members[ObjectIdentifier(connection)] = Member(connection: Unowned(value: connection))
        self.armTimer()
        guard self.addresses == nil else { return }
        self.addresses = LostAddressWatch(eventLoop: self.eventLoop) { [unowned self] in
            Set(self.members.values.compactMap { $0.connection.value.localAddress?.withoutPort })
        } lost: { [unowned self] lost in
            self.addressesLost(lost)
        }
    }

    package func remove(_ connection: any WatchedConnection) {
        self.members[ObjectIdentifier(connection)] = nil
    }

    private func armTimer() {
        guard self.timer == nil, !self.members.isEmpty else { return }
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: Self.interval) { [weak self] in
            guard let self else { return }
            self.timer = nil
            self.look()
            self.armTimer()
        }
    }

    private func look() {
        let now = self.eventLoop.now
        var vanished: [any WatchedConnection] = []
        for (id, member) in self.members {
            guard let look = member.connection.value.acknowledgements else { continue }
            if self.members[id]?.acknowledgements.hasVanished(look, at: now) == true {
                vanished.append(member.connection.value)
            }
        }
        for connection in vanished { connection.connectionLost() }
    }

    private func addressesLost(_ lost: Set<SocketAddress>) {
        let connections = self.members.values.map(\.connection.value).filter { connection in
            connection.localAddress?.withoutPort.map(lost.contains) ?? false
        }
        guard !connections.isEmpty else { return }
        self.logger.info(
            "connections end: this machine has lost their address",
            metadata: [
                "event": "address.lost", "connections": .stringConvertible(connections.count),
                "address": "\(lost.compactMap(\.ipAddress).sorted().joined(separator: ","))",
            ])
        for connection in connections { connection.connectionLost() }
    }
}

@available(*, unavailable)
extension ConnectionWatch: Sendable {}

extension SocketAddress {
    /// The address alone: port 0. Nil for a socket in the file system, which no machine loses.
    fileprivate var withoutPort: SocketAddress? {
        guard self.port != nil else { return nil }
        var address = self
        address.port = 0
        return address
    }
}
