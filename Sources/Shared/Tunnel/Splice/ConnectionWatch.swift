import HostNetwork
package import Logging
package import NIOCore
import Synchronization

/// Looks after the spliced TCP connections of one event loop: ends those whose other end has vanished with data on its way
/// to it, and those whose local address this machine has lost. Connections without traffic are the kernel's business
/// (keepalive). Belongs to its event loop.
package final class ConnectionWatch {
    /// Between two looks at the connections.
    static let interval = TimeAmount.seconds(10)
    /// One for each event loop that has asked, for as long as the process lives.
    private static let watches = Mutex<[ObjectIdentifier: NIOLoopBound<ConnectionWatch>]>([:])

    private struct Member {
        let splice: Unowned
        var acknowledgements = AcknowledgementWatch()
    }

    /// A splice leaves before it goes.
    private struct Unowned {
        unowned let splice: StreamSplice
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

    func add(_ splice: StreamSplice) {
        self.members[ObjectIdentifier(splice)] = Member(splice: Unowned(splice: splice))
        self.armTimer()
        guard self.addresses == nil else { return }
        self.addresses = LostAddressWatch(eventLoop: self.eventLoop) { [unowned self] in
            Set(self.members.values.compactMap { $0.splice.splice.localAddress?.withoutPort })
        } lost: { [unowned self] lost in
            self.addressesLost(lost)
        }
    }

    func remove(_ splice: StreamSplice) {
        self.members[ObjectIdentifier(splice)] = nil
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
        var vanished: [StreamSplice] = []
        for (id, member) in self.members {
            guard let look = member.splice.splice.acknowledgements else { continue }
            if self.members[id]?.acknowledgements.hasVanished(look, at: now) == true {
                vanished.append(member.splice.splice)
            }
        }
        for splice in vanished { splice.connectionLost() }
    }

    private func addressesLost(_ lost: Set<SocketAddress>) {
        let splices = self.members.values.map(\.splice.splice).filter { splice in
            splice.localAddress.map { lost.contains($0.withoutPort) } ?? false
        }
        guard !splices.isEmpty else { return }
        self.logger.info(
            "connections end: this machine has lost their address",
            metadata: [
                "event": "address.lost", "connections": .stringConvertible(splices.count),
                "address": "\(lost.compactMap(\.ipAddress).sorted().joined(separator: ","))",
            ])
        for splice in splices { splice.connectionLost() }
    }
}

@available(*, unavailable)
extension ConnectionWatch: Sendable {}

extension SocketAddress {
    /// The address alone: port 0.
    fileprivate var withoutPort: SocketAddress {
        var address = self
        address.port = 0
        return address
    }
}
