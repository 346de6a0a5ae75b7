import AppProto
import Basics
import CommandSupport
import FlowLedger
import Logging
import NIOCore
import PeerChannel
import Synchronization

/// Takes in clients' offers of peer channels, within a limit, and spreads the channels over the event loops.
///
/// Offers and the events about them come from the signalling event loop; each channel lives on a loop of its own choice.
final class PeerAcceptor: Sendable {
    /// Who is in a slot.
    enum Occupant {
        /// Nobody so far: the event loop is about to make the peer.
        case expected
        case peer(any AcceptedPeer)
        /// Nobody any more, or nobody is wanted.
        case gone
    }

    /// A peer's place in the table. Filled on the peer's event loop, which runs what is meant for the peer after that.
    struct Slot: Sendable {
        let occupant: NIOLoopBoundBox<Occupant>
        /// Fulfilled when the place is free again.
        let vacated: EventLoopPromise<Void>

        init(on eventLoop: any EventLoop) {
            self.occupant = .makeBoxSendingValue(.expected, as: Occupant.self, eventLoop: eventLoop)
            self.vacated = eventLoop.makePromise()
        }

        var eventLoop: any EventLoop { self.occupant.eventLoop }

        /// To be asked on the event loop.
        var peer: (any AcceptedPeer)? {
            if case .peer(let peer) = self.occupant.value { peer } else { nil }
        }
    }

    private struct State {
        var slots: [PeerID: Slot] = [:]
        var quota: Quota
        var isStopping = false
        var nextLoop = 0
    }

    private let state: Mutex<State>
    /// One for each event loop.
    let ledgers: [NIOLoopBoundBox<FlowLedger>]
    /// What has become of channels that are over, for each event loop.
    let past: [NIOLoopBoundBox<PastChannels>]
    let egress: Egress
    private let logger: Logger

    /// Accepts at most `maximumPeers` channels at once, whose way out is `egress`. Connections and flows that have ended are
    /// written to `accessLog`.
    init(maximumPeers: Int, group: any EventLoopGroup, egress: Egress, accessLog: AccessLog?, logger: Logger) {
        self.state = Mutex(State(quota: Quota(limit: maximumPeers)))
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

    /// Answers an offer: brings the agent's answer, or fails with the `Failure` to answer with.
    func accept(
        _ offer: OpenPeer, configuration: PeerChannelConfiguration, signaling: any PeerSignaling
    ) -> EventLoopFuture<OpenPeerReply> {
        let (ledger, past) = self.nextLedger()
        let eventLoop = ledger.eventLoop
        let slot = Slot(on: eventLoop)
        if let refusal = self.reserve(offer, slot) {
            slot.vacated.succeed()
            return eventLoop.makeFailedFuture(refusal)
        }
        return eventLoop.flatSubmit {
            do {
                guard case .expected = slot.occupant.value else { throw Self.isStopping }
                let peer = try self.peer(offer, configuration, signaling, ledger) {
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
        _ offer: OpenPeer, _ configuration: PeerChannelConfiguration, _ signaling: any PeerSignaling,
        _ ledger: NIOLoopBoundBox<FlowLedger>, closed: @escaping () -> Void
    ) throws -> any AcceptedPeer {
        switch offer.kind {
        case .quicTunnel:
            try TunnelPeer(
                offer: offer, configuration: configuration, signaling: signaling, ledger: ledger.value,
                eventLoop: ledger.eventLoop, egress: self.egress, logger: self.logger, closed: closed)
        case .udpRelay(let relay):
            try RelayPeer(
                offer: offer, relay: relay, configuration: configuration, signaling: signaling, ledger: ledger.value,
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
            slot.eventLoop.execute {
                switch slot.occupant.value {
                case .expected: slot.occupant.value = .gone
                case .peer(let peer): peer.peerChannel.close(reason: reason)
                case .gone: break
                }
            }
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

    private func reserve(_ offer: OpenPeer, _ slot: Slot) -> Failure? {
        self.state.withLock { state in
            if state.isStopping { return Self.isStopping }
            if state.slots[offer.peerID] != nil { return Failure(code: .badRequest, reason: "the peer id is in use") }
            guard state.quota.take() else {
                return Failure(code: .refused, reason: "the agent is at its limit of \(state.quota.limit) peers")
            }
            state.slots[offer.peerID] = slot
            return nil
        }
    }

    private func release(_ id: PeerID) {
        let slot = self.state.withLock { state in
            let slot = state.slots.removeValue(forKey: id)
            if slot != nil { state.quota.giveBack() }
            return slot
        }
        slot?.vacated.succeed()
    }

    var slots: [Slot] { self.state.withLock { Array($0.slots.values) } }

    private static var isStopping: Failure { Failure(code: .refused, reason: "the agent is stopping") }
}
