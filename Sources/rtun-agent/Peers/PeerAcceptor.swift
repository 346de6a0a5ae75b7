import AppProto
import Basics
import CommandSupport
import FlowLedger
import Logging
import NIOCore
import PeerChannel
import Synchronization

/// Takes in clients' offers of peer channels, within a limit that they share, and spreads the channels over the event loops.
///
/// Offers and the events about them come from the signalling event loop; each channel lives on a loop of its own choice.
final class PeerAcceptor: Sendable {
    /// Who is in a slot.
    enum Occupant {
        /// Nobody so far: the event loop is about to make the peer.
        case expected
        case peer(any AcceptedPeer)
        /// Nobody is wanted any more.
        case unwanted(PeerRefusal)
        /// Nobody any more.
        case gone
    }

    /// A peer's place in the table. Filled on the peer's event loop, which runs what is meant for the peer after that.
    struct Slot: Sendable {
        let occupant: NIOLoopBoundBox<Occupant>
        /// Fulfilled when the place is free again.
        let vacated: EventLoopPromise<Void>
        let admission: ClientTable.Admission
        let client: Client
        /// Whose share of what is spent on finding a path.
        let payer: ClientTable.Payer
        /// Counts all that there have been.
        let number: UInt64
        /// Whether the place is another channel's already, and this one is ending.
        var isReplaced = false

        init(
            _ admission: ClientTable.Admission, _ entry: (client: Client, payer: ClientTable.Payer), number: UInt64,
            on eventLoop: any EventLoop
        ) {
            self.admission = admission
            (self.client, self.payer) = entry
            self.number = number
            self.occupant = .makeBoxSendingValue(.expected, as: Occupant.self, eventLoop: eventLoop)
            self.vacated = eventLoop.makePromise()
        }

        var eventLoop: any EventLoop { self.occupant.eventLoop }

        /// To be asked on the event loop.
        var peer: (any AcceptedPeer)? {
            if case .peer(let peer) = self.occupant.value { peer } else { nil }
        }

        /// Ends what is there, or has the offer refused from which it would come.
        func end(reason: String, refusal: PeerRefusal) {
            self.eventLoop.execute {
                switch self.occupant.value {
                case .expected: self.occupant.value = .unwanted(refusal)
                case .peer(let peer): peer.peerChannel.close(reason: reason)
                case .unwanted, .gone: break
                }
            }
        }
    }

    fileprivate struct State {
        var slots: [PeerID: Slot] = [:]
        var slotCount: UInt64 = 0
        var shares: Shares<ClientID, PeerID>
        var clients: ClientTable
        var refusals: [PeerRefusal.Reason: UInt64] = [:]
        var isStopping = false
        var nextLoop = 0
    }

    /// A place for a new channel.
    fileprivate struct Reservation {
        let slot: Slot
        /// Whose place it was: to be ended.
        var replaced: Slot?
    }

    private let state: Mutex<State>
    /// One for each event loop.
    let ledgers: [NIOLoopBoundBox<FlowLedger>]
    /// What has become of channels that are over, for each event loop.
    let past: [NIOLoopBoundBox<PastChannels>]
    let egress: Egress
    private let logger: Logger

    /// Channels that a client may have for each one that is free.
    private static let peersPerFreePlace = 7

    /// Accepts at most `maximumPeers` channels at once, whose way out is `egress`. Connections and flows that have ended are
    /// written to `accessLog`.
    ///
    /// - Parameter list: the clients that are served; nil: all.
    init(
        maximumPeers: Int, list: AuthorizedClients? = nil, group: any EventLoopGroup, egress: Egress,
        accessLog: AccessLog?, logger: Logger
    ) {
        self.state = Mutex(
            State(
                shares: Shares(limit: maximumPeers, factor: Self.peersPerFreePlace),
                clients: ClientTable(list, rules: egress.dialer.rules)))
        self.ledgers = group.makeIterator().map { eventLoop in
            let ledger = FlowLedger()
            accessLog?.follow(ledger)
            return NIOLoopBoundBox.makeBoxSendingValue(ledger, as: FlowLedger.self, eventLoop: eventLoop)
        }
        self.past = self.ledgers.map {
            .makeBoxSendingValue(PastChannels(), as: PastChannels.self, eventLoop: $0.eventLoop)
        }
        self.egress = egress
        self.logger = logger
    }

    /// Answers an offer: brings the agent's answer, or fails with a ``PeerRefusal``, before there is anything of a channel, or
    /// with the `Failure` to answer with.
    func accept(
        _ offer: OpenPeer, configuration: PeerChannelConfiguration, signaling: any PeerSignaling
    ) -> EventLoopFuture<OpenPeerReply> {
        let (ledger, past) = self.nextLedger()
        let eventLoop = ledger.eventLoop
        let slot: Slot
        do throws(PeerRefusal) {
            slot = try self.reserve(offer, on: eventLoop)
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
        return eventLoop.flatSubmit {
            do {
                if case .unwanted(let refusal) = slot.occupant.value { throw refusal }
                var configuration = configuration
                configuration.checkOwner = ObjectIdentifier(slot.payer)
                let peer = try self.peer(offer, of: slot.client, configuration, signaling, ledger) {
                    if let peer = slot.peer { past.value.add(peer) }
                    // The box refers to the peer and the peer to this closure: emptying the box ends both.
                    slot.occupant.value = .gone
                    self.release(offer.peerID)
                }
                slot.occupant.value = .peer(peer)
                return peer.start()
            } catch {
                self.release(offer.peerID)
                return eventLoop.makeFailedFuture(Failure(refusing: error))
            }
        }
    }

    /// What serves the kind of channel that is offered.
    private func peer(
        _ offer: OpenPeer, of client: Client, _ configuration: PeerChannelConfiguration,
        _ signaling: any PeerSignaling, _ ledger: NIOLoopBoundBox<FlowLedger>, closed: @escaping () -> Void
    ) throws -> any AcceptedPeer {
        switch offer.kind {
        case .quicTunnel:
            try TunnelPeer(
                offer: offer, client: client, configuration: configuration, signaling: signaling, ledger: ledger.value,
                eventLoop: ledger.eventLoop, egress: self.egress, logger: self.logger, closed: closed)
        case .udpRelay(let relay):
            try RelayPeer(
                offer: offer, relay: relay, client: client, configuration: configuration, signaling: signaling,
                ledger: ledger.value,
                eventLoop: ledger.eventLoop, egress: self.egress, logger: self.logger, closed: closed)
        case nil:
            throw Failure(code: .kindUnsupported, reason: "this agent does not know that kind of peer channel")
        }
    }

    /// Passes on what the control connection has brought for a channel; what is for an unknown one is late and ignored.
    func receive(_ message: PeerMessage) {
        self.withPeer(message.peerID) { $0.peerChannel.receive(message) }
    }

    /// Answers a client's restart: brings the answer, or fails with the `Failure` to answer with.
    func restart(_ restart: RestartPeer) -> EventLoopFuture<RestartPeerReply> {
        let unknown = Failure(code: .peerUnknown, reason: "this agent has no such channel")
        guard let slot = self.state.withLock({ $0.slots[restart.peerID] }) else {
            return self.ledgers[0].eventLoop.makeFailedFuture(unknown)
        }
        let promise = slot.eventLoop.makePromise(of: RestartPeerReply.self)
        slot.eventLoop.execute {
            guard let peer = slot.peer else { return promise.fail(unknown) }
            peer.peerChannel.receive(.restart(restart, promise))
        }
        return promise.futureResult.flatMapErrorThrowing { throw Failure(refusing: $0) }
    }

    /// Tells all channels of the control connection.
    func signalChanged(isUp: Bool, bridges: Bool) {
        for slot in self.slots {
            slot.eventLoop.execute { slot.peer?.peerChannel.signalChanged(isUp: isUp, bridges: bridges) }
        }
    }

    /// Refuses all offers from now on.
    func stopAccepting() {
        self.state.withLock { $0.isStopping = true }
    }

    /// Closes all channels; returns when they have said goodbye and their places are free.
    func closeAll(reason: String) async {
        let slots = self.slots
        for slot in slots {
            slot.end(reason: reason, refusal: .stopping)
        }
        for slot in slots {
            try? await slot.vacated.futureResult.get()
        }
    }

    /// Closes the channels of the client that has this key.
    func closeAll(with key: CertificateFingerprint) {
        for slot in self.slots {
            slot.eventLoop.execute { slot.peer?.peerChannel.close(ifWith: key) }
        }
    }

    /// Tells the server which clients there are.
    func tellPeerKeys() {
        for slot in self.slots {
            slot.eventLoop.execute { slot.peer?.peerChannel.tellPeerKey() }
        }
    }

    /// Lets every peer that has something to say write a line of statistics.
    func report() {
        for slot in self.slots {
            slot.eventLoop.execute { slot.peer?.report() }
        }
    }

    private func withPeer(_ id: PeerID, _ body: @escaping @Sendable (any AcceptedPeer) -> Void) {
        guard let slot = self.state.withLock({ $0.slots[id] }) else { return }
        slot.eventLoop.execute {
            if let peer = slot.peer { body(peer) }
        }
    }

    /// Channels are spread over the event loops.
    private func nextLedger() -> (NIOLoopBoundBox<FlowLedger>, NIOLoopBoundBox<PastChannels>) {
        let index = self.state.withLock { state in
            defer { state.nextLoop = (state.nextLoop + 1) % self.ledgers.count }
            return state.nextLoop
        }
        return (self.ledgers[index], self.past[index])
    }

    private func reserve(_ offer: OpenPeer, on eventLoop: any EventLoop) throws(PeerRefusal) -> Slot {
        let result = self.state.withLock { state in
            let result = Result { () throws(PeerRefusal) in try state.reserve(offer, on: eventLoop) }
            if case .failure(let refusal) = result { state.refusals[refusal.reason, default: 0] += 1 }
            return result
        }
        let reservation = try result.get()
        if let former = reservation.replaced {
            former.end(
                reason: "the client has come anew, and its share of the agent's channels is used up", refusal: .replaced
            )
        }
        return reservation.slot
    }

    private func release(_ id: PeerID) {
        let slot = self.state.withLock { $0.release(id) }
        slot?.vacated.succeed()
    }

    // MARK: Who may come

    /// Serves other clients from now on, or these by other rules. Returns how many channels of those who are not on the list any
    /// more are closed; they hear why.
    func change(to list: AuthorizedClients) -> Int {
        let (revoked, changed) = self.state.withLock { state in
            let keys = state.clients.change(to: list)
            let slots = state.slots.values
            return (
                slots.filter { list.rules[$0.admission.key] == nil }, slots.filter { keys.contains($0.admission.key) }
            )
        }
        for slot in revoked {
            slot.end(
                reason: "this agent does not list this client's key \(slot.admission.key) any more",
                refusal: .keyUnknown(slot.admission.key, isStamped: true))
        }
        for slot in changed {
            slot.eventLoop.execute { slot.peer?.rulesChanged() }
        }
        return revoked.count
    }

    /// How many clients have channels, and how often offers were refused before anything was made of them.
    var admissions: (clients: Int, refusals: [PeerRefusal.Reason: UInt64]) {
        self.state.withLock { ($0.clients.count, $0.refusals) }
    }

    var slots: [Slot] { self.state.withLock { Array($0.slots.values) } }
}

extension PeerAcceptor.State {
    /// Takes a place for the channel that is offered, of the share of who offers it.
    fileprivate mutating func reserve(_ offer: OpenPeer, on eventLoop: any EventLoop) throws(PeerRefusal)
        -> PeerAcceptor.Reservation
    {
        if self.isStopping { throw .stopping }
        let admission = try self.clients.admission(of: offer)
        guard self.slots[offer.peerID] == nil else { throw .idInUse }
        let payer = admission.payer
        var replaced: PeerAcceptor.Slot?
        if !self.shares.take(by: offer.peerID, of: payer, isKnown: payer.isKnown) {
            replaced = self.replace(with: offer.peerID, admission)
            guard replaced != nil else {
                throw self.shares.isFull(isKnown: payer.isKnown)
                    ? .limit(self.shares.limit) : .share(count: self.shares.count(of: payer), limit: self.shares.limit)
            }
        }
        self.slotCount += 1
        let slot = PeerAcceptor.Slot(admission, self.clients.enter(admission), number: self.slotCount, on: eventLoop)
        self.slots[offer.peerID] = slot
        return PeerAcceptor.Reservation(slot: slot, replaced: replaced)
    }

    /// Passes the place of the client's oldest channel of a former control connection on, if there is one: a process that was
    /// killed leaves channels behind that look alive until they have been silent for long. Two processes that live do not end
    /// each other's by turns, since the older one ends nothing.
    private mutating func replace(with id: PeerID, _ admission: ClientTable.Admission) -> PeerAcceptor.Slot? {
        // Those that are replaced are there for a while.
        guard self.slots.count - self.shares.used < self.shares.limit else { return nil }
        let former = self.slots.lazy.filter {
            $0.value.admission.payer == admission.payer && $0.value.admission.generation < admission.generation
                && !$0.value.isReplaced
        }.min {
            ($0.value.admission.generation, $0.value.number) < ($1.value.admission.generation, $1.value.number)
        }
        guard let former, self.shares.passOn(from: former.key, to: id, of: admission.payer) else { return nil }
        self.slots[former.key]?.isReplaced = true
        return former.value
    }

    /// Gives the place back, if it is still taken.
    fileprivate mutating func release(_ id: PeerID) -> PeerAcceptor.Slot? {
        guard let slot = self.slots.removeValue(forKey: id) else { return nil }
        self.shares.giveBack(by: id, of: slot.admission.payer)
        self.clients.leave(slot.admission)
        return slot
    }
}
