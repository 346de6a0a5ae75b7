import Basics
import CommandSupport
import FlowLedger
import LibC
import Logging
import NIOCore
import NameResolution
import RelayChannel
import Tunnel
import UDPAssociation
import UDPRelay

/// The UDP associations of one client's tunnel at the agent, and their sockets, each of which is a flow among those of
/// `--max-flows`. Belongs to the tunnel's event loop.
final class TunnelAssociations: AssociationHost {
    /// How long a socket stays that nothing passes through: as long as the flows of relays, and as RFC 4787 §4.3 asks for at
    /// least. The association stays; its next datagram opens another socket.
    private static let idleTimeout = TimeAmount.seconds(120)

    let eventLoop: any EventLoop
    private let egress: Egress
    private let dialer: EgressDialer
    private let client: Client
    private let logger: Logger
    private let drops: DropLog<AssociationDrop>
    private var associations: [AssociationID: Entry] = [:]
    private var sockets: FlowTable<AssociationSocketKey, AssociationSocket>
    private var flowRate = FlowRate()
    /// While there are associations.
    private var share: Share?
    private var dropCounts: [AssociationDrop: UInt64] = [:]

    private struct Entry {
        let association: EgressAssociation
        let ended: (FlowOutcome) -> Void
    }

    /// The tunnel's place among those who share the flows.
    private struct Share {
        let id: Egress.PartID
        let sweep: IdleSweep
    }

    init(egress: Egress, dialer: EgressDialer, client: Client, eventLoop: any EventLoop, logger: Logger) {
        self.egress = egress
        self.dialer = dialer
        self.client = client
        self.eventLoop = eventLoop
        self.logger = logger
        self.drops = DropLog(eventLoop: eventLoop, logger: logger)
        self.sockets = FlowTable(capacity: egress.maximumFlows)
    }

    var rules: EgressRules { self.dialer.rules }
    var names: NameResolver { self.dialer.names }
    var owner: ObjectIdentifier { ObjectIdentifier(self.client) }

    /// Takes in a new one. `ended` is called when it is over.
    func open(_ association: TunnelAssociation, ended: @escaping (FlowOutcome) -> Void) -> EgressAssociation {
        if self.share == nil { self.share = self.openShare() }
        let egress = EgressAssociation(association, host: self)
        self.associations[association.id] = Entry(association: egress, ended: ended)
        self.logger.debug(
            "UDP association opened",
            metadata: ["event": "flow.opened", "association": .stringConvertible(association.id.rawValue)])
        return egress
    }

    /// Ends all.
    func close() {
        for entry in self.associations.values {
            entry.association.close()
            self.ended(entry.association, .reset)
        }
    }

    private func openShare() -> Share {
        let table = NIOLoopBound(WeakTable(self), eventLoop: self.eventLoop)
        let id = self.egress.relayOpened { [eventLoop] in
            eventLoop.execute { table.value.table?.endSocketForAnother() }
        }
        let sweep = IdleSweep(eventLoop: self.eventLoop, idleTimeout: Self.idleTimeout) { [weak self] deadline in
            guard let self, let (_, socket) = self.sockets.removeIdle(before: deadline) else { return false }
            socket.close()
            self.giveBackFlow()
            return true
        }
        return Share(id: id, sweep: sweep)
    }

    /// Datagrams that were dropped here.
    var droppedDatagrams: [DropReason: UInt64] {
        self.dropCounts.reduce(into: [:]) { $0[DropReason($1.key)] = $1.value }
    }

    /// How many there are, with how many sockets, and why datagrams were dropped.
    var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "associations": .stringConvertible(self.associations.count),
            "flows": .stringConvertible(self.sockets.count),
        ]
        for (reason, count) in self.dropCounts {
            metadata["dropped_\(reason.rawValue)"] = .stringConvertible(count)
        }
        return metadata
    }

    private struct WeakTable {
        weak var table: TunnelAssociations?
        init(_ table: TunnelAssociations) { self.table = table }
    }

    func ended(_ association: EgressAssociation, _ outcome: FlowOutcome) {
        guard let entry = self.associations.removeValue(forKey: association.association.id) else { return }
        for family in [IPAddress.Family.v4, .v6] {
            let key = AssociationSocketKey(association: association.association.id, family: family)
            guard let socket = self.sockets.removeValue(of: key) else { continue }
            socket.close()
            self.giveBackFlow()
        }
        self.logger.debug(
            "UDP association closed",
            metadata: [
                "event": "flow.closed", "association": .stringConvertible(association.association.id.rawValue),
                "sent": .stringConvertible(association.traffic.sent),
                "received": .stringConvertible(association.traffic.received),
                "seconds": .stringConvertible((self.eventLoop.now - association.since).nanoseconds / 1_000_000_000),
            ])
        if self.associations.isEmpty, let share = self.share {
            share.sweep.stop()
            self.egress.relayClosed(share.id)
            self.share = nil
        }
        entry.ended(outcome)
    }

    // MARK: Sockets

    func socket(_ family: IPAddress.Family, of association: EgressAssociation) -> AssociationSocket? {
        let key = AssociationSocketKey(association: association.association.id, family: family)
        let now = self.eventLoop.now
        if let slot = self.sockets.touch(key, at: now) { return self.sockets[slot] }
        guard let share = self.share, self.associations[key.association]?.association === association else {
            return nil
        }
        let place = self.egress.takeFlow(by: share.id, of: self.client) { self.flowRate.take(at: now) }
        switch place {
        case .tooFast:
            self.dropped(.flowRate, 1, nil)
            return nil
        case .own where !self.evictIdle(at: now):
            self.dropped(.flowLimit, 1, nil)
            return nil
        case .own, .taken: break
        }
        // Sockets whose places others have got may still be there.
        if self.sockets.isFull { self.endLeastUsed() }
        let socket = AssociationSocket(key, delegate: association)
        guard self.sockets.insert(key, socket, at: now) != nil else {
            self.giveBackFlow()
            return nil
        }
        socket.open(on: self.eventLoop)
        return socket
    }

    /// Ends the socket that is missed least; its place is the caller's.
    private func evictIdle(at now: NIODeadline) -> Bool {
        guard let (_, socket) = self.sockets.makeRoom(at: now) else { return false }
        socket.close()
        return true
    }

    /// Another one has less than its share of `--max-flows`, and has got the place of a socket of this tunnel's.
    private func endSocketForAnother() {
        if let share = self.share, self.egress.owesFlow(share.id) { self.endLeastUsed() }
    }

    /// Ends the socket that is missed least, however short it has been idle.
    private func endLeastUsed() {
        guard
            let (_, socket) = self.sockets.removeLeastUsed(
                unansweredBefore: .distantFuture, answeredBefore: .distantFuture)
        else { return }
        socket.close()
        self.giveBackFlow()
    }

    private func giveBackFlow() {
        if let share = self.share { self.egress.giveBackFlow(by: share.id, of: self.client) }
    }

    func answered(_ key: AssociationSocketKey) {
        _ = self.sockets.answer(key, at: self.eventLoop.now)
    }

    func failed(_ socket: AssociationSocket, _ error: (any Error)?) {
        guard self.sockets.removeValue(of: socket.key) != nil else { return }
        self.giveBackFlow()
        let reason: AssociationDrop
        switch (error as? IOError)?.errnoCode {
        case EMFILE, ENFILE, EADDRNOTAVAIL, EADDRINUSE, ENOBUFS, ENOMEM:
            reason = .flowLimit
            // The next datagram may have its descriptor.
            if self.evictIdle(at: self.eventLoop.now) { self.giveBackFlow() }
        default: reason = .notSent
        }
        self.drops.dropped(reason, ["error": "\(error.map { "\($0)" } ?? "the socket is gone")"])
    }

    func dropped(_ reason: AssociationDrop, _ count: Int, _ endpoint: Endpoint?) {
        self.dropCounts[reason, default: 0] += UInt64(count)
        switch reason {
        case .policy, .name:
            // What clients ask for is their business, as with connections.
            self.logger.debug(
                "datagram refused",
                metadata: [
                    "event": "flow.refused", "reason": "\(reason.rawValue)",
                    "target": "\(endpoint?.description ?? "")",
                ])
        case .oversize:
            self.drops.dropped(reason, ["limit": .stringConvertible(AssociationLimits.payload)])
        case .flowLimit:
            self.drops.dropped(reason, ["limit": .stringConvertible(self.egress.maximumFlows)])
        case .flowRate, .notSent:
            self.drops.dropped(reason)
        }
    }
}

@available(*, unavailable)
extension TunnelAssociations: Sendable {}
