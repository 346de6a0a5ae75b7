import Basics
import NIOCore
import Synchronization

/// What all peers share on their way out: how targets are dialed, and how many connections and UDP flows may be open. Clients
/// have shares of that, and their channels shares of theirs.
final class Egress: Sendable {
    /// Names what has connections or flows on a client's behalf: a tunnel, a relay, or the associations of a tunnel.
    struct PartID: Hashable, Sendable {
        fileprivate let rawValue: UInt64
    }

    /// Why there is no place for a connection.
    enum StreamRefusal: Equatable {
        /// All are in use.
        case full(limit: Int)
        /// The client, or its tunnel beside others of the client, has its share of them.
        case share(limit: Int)
        /// The client's own line allows no more.
        case own(limit: Int)
    }

    /// What becomes of the wish for a flow.
    enum FlowPlace: Equatable {
        case taken
        /// The relay has to end a flow of its own for it.
        case own
        /// Flows are being opened too fast.
        case tooFast
    }

    private struct State {
        var streams: Shares<ClientID, PartID>
        var flows: Shares<ClientID, PartID>
        /// What makes each relay end a flow; called from anywhere.
        var relays: [PartID: @Sendable () -> Void] = [:]
        var nextPart: UInt64 = 0
        var idleWaiters: [AsyncStream<Void>.Continuation] = []
        var refusals = PolicyRefusals()
        var refusedRelays: UInt64 = 0

        var isIdle: Bool { self.streams.used == 0 && self.relays.isEmpty }

        mutating func newPart() -> PartID {
            defer { self.nextPart += 1 }
            return PartID(rawValue: self.nextPart)
        }
    }

    let dialer: EgressDialer
    /// How many connections may be open at once, over all peers; attempts count.
    let maximumStreams: Int
    /// How many UDP flows there may be at once, over all relays.
    let maximumFlows: Int
    private let state: Mutex<State>

    /// Connections that a client may have for each one that is free.
    private static let streamsPerFreePlace = 7

    init(dialer: EgressDialer, maximumStreams: Int, maximumFlows: Int) {
        self.dialer = dialer
        self.maximumStreams = maximumStreams
        self.maximumFlows = maximumFlows
        self.state = Mutex(
            State(
                streams: Shares(limit: maximumStreams, factor: Self.streamsPerFreePlace),
                flows: Shares(limit: maximumFlows, factor: Self.streamsPerFreePlace)))
    }

    // MARK: Connections

    /// A client has one more tunnel.
    func tunnelOpened(of client: Client) -> PartID {
        self.state.withLock { state in
            let part = state.newPart()
            state.streams.join(part, of: client.id, isKnown: client.id.isKnown)
            return part
        }
    }

    /// A tunnel has ended; what it has is given back by and by.
    func tunnelClosed(_ tunnel: PartID, of client: Client) {
        self.state.withLock { $0.streams.leave(tunnel, of: client.id) }
    }

    /// Takes one connection out of the limit for a client's tunnel; returns why there is none, or nil.
    ///
    /// Connections cannot be ended for others, so some places stay free: see ``Shares/take(by:of:isKnown:)``.
    func takeStream(by tunnel: PartID, of client: Client) -> StreamRefusal? {
        self.state.withLock { state in
            guard state.streams.count(of: client.id) < client.maximumStreams else {
                return .own(limit: client.maximumStreams)
            }
            if state.streams.take(by: tunnel, of: client.id, isKnown: client.id.isKnown) { return nil }
            return state.streams.isFull(isKnown: client.id.isKnown)
                ? .full(limit: self.maximumStreams) : .share(limit: self.maximumStreams)
        }
    }

    /// How many connections one tunnel may have when there is no other.
    var maximumStreamsAlone: Int { self.state.withLock { $0.streams.mostOfOne } }

    /// Gives it back, once the connection is closed or did not come about.
    func giveBackStream(by tunnel: PartID, of client: Client) {
        self.giveBack { $0.streams.giveBack(by: tunnel, of: client.id) }
    }

    private func giveBack(_ body: @Sendable (inout State) -> Void) {
        let waiters = self.state.withLock { state -> [AsyncStream<Void>.Continuation] in
            body(&state)
            guard state.isIdle else { return [] }
            defer { state.idleWaiters = [] }
            return state.idleWaiters
        }
        for waiter in waiters {
            waiter.finish()
        }
    }

    // MARK: Flows

    /// A relay has begun, or something that has flows as one has.
    ///
    /// - Parameter endFlow: has it look whether it ``owesFlow(_:)``, and end one then; called from anywhere.
    func relayOpened(endFlow: @escaping @Sendable () -> Void) -> PartID {
        self.state.withLock { state in
            let id = state.newPart()
            state.relays[id] = endFlow
            return id
        }
    }

    /// A relay has ended, and given all back.
    func relayClosed(_ relay: PartID) {
        self.giveBack { $0.relays[relay] = nil }
    }

    /// Takes a place for one UDP flow of a client's relay.
    ///
    /// - Parameter isInTime: whether the relay may open a flow by now. Asked first: nobody is to lose a flow for one that does
    ///   not come about.
    func takeFlow(by relay: PartID, of client: Client, isInTime: () -> Bool) -> FlowPlace {
        guard isInTime() else { return .tooFast }
        let (place, endFlow) = self.state.withLock { state in
            let place = state.flows.takeOrMove(by: relay, of: client.id, isKnown: client.id.isKnown)
            guard case .of(let other) = place else { return (place, nil as (@Sendable () -> Void)?) }
            return (place, state.relays[other])
        }
        endFlow?()
        return place == .own ? .own : .taken
    }

    /// A flow has ended.
    func giveBackFlow(by relay: PartID, of client: Client) {
        self.state.withLock { $0.flows.giveBack(by: relay, of: client.id) }
    }

    /// Whether a relay has a flow to end because another has got its place.
    func owesFlow(_ relay: PartID) -> Bool {
        self.state.withLock { $0.flows.owes(relay) }
    }

    // MARK: What is told

    /// The policy has refused a connection.
    func refused(_ target: String, at now: NIODeadline) {
        self.state.withLock { $0.refusals.refused(target, at: now) }
    }

    /// The policy has refused a relay.
    func refusedRelay(_ target: String, at now: NIODeadline) {
        self.state.withLock { state in
            state.refusals.refused(target, at: now)
            state.refusedRelays += 1
        }
    }

    /// What is in use, and what the policy has refused.
    struct Summary: Sendable {
        let streams: Int
        let flows: Int
        let refusals: [PolicyRefusals.Refusal]
        let refusedRelays: UInt64
    }

    var summary: Summary {
        self.state.withLock { state in
            Summary(
                streams: state.streams.used, flows: state.flows.used, refusals: state.refusals.latest,
                refusedRelays: state.refusedRelays)
        }
    }

    /// Returns when no connection is open or being opened and no relay is left, or when the task is cancelled.
    func waitUntilIdle() async {
        let (idle, waiter) = AsyncStream.makeStream(of: Void.self)
        self.state.withLock { state in
            if state.isIdle {
                waiter.finish()
            } else {
                state.idleWaiters.append(waiter)
            }
        }
        for await _ in idle {}
    }
}
