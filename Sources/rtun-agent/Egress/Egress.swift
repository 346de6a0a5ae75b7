import NIOCore
import Synchronization

/// What all peers share on their way out: how targets are dialed, and how many connections and UDP flows may be open.
final class Egress: Sendable {
    private struct State {
        var streams: Quota
        var flows: FlowShares
        /// What makes each relay end a flow; called from anywhere.
        var relays: [FlowShares.RelayID: @Sendable () -> Void] = [:]
        var nextRelay: UInt64 = 0
        var idleWaiters: [AsyncStream<Void>.Continuation] = []
        var refusals = PolicyRefusals()
        var refusedRelays: UInt64 = 0

        var isIdle: Bool { self.streams.used == 0 && self.relays.isEmpty }
    }

    let dialer: EgressDialer
    /// How many connections may be open at once, over all peers; attempts count.
    let maximumStreams: Int
    /// How many UDP flows there may be at once, over all relays.
    let maximumFlows: Int
    private let state: Mutex<State>

    init(dialer: EgressDialer, maximumStreams: Int, maximumFlows: Int) {
        self.dialer = dialer
        self.maximumStreams = maximumStreams
        self.maximumFlows = maximumFlows
        self.state = Mutex(State(streams: Quota(limit: maximumStreams), flows: FlowShares(limit: maximumFlows)))
    }

    /// Takes one connection out of the limit for a peer; false when there is none left for it.
    ///
    /// Connections cannot be ended for others, so some places stay free: a tunnel may have seven times as many as are left
    /// (a dynamic threshold, as of A. K. Choudhury and E. L. Hahne, IEEE/ACM ToN 6 (2), 1998). One alone has seven eighths,
    /// of limits below 8 all; several that want as many as they can get come to have equally many, and a newcomer always
    /// finds room.
    ///
    /// - Parameter count: how many the tunnel has.
    func takeStream(beside count: Int) -> Bool {
        self.state.withLock { state in
            count < Self.streamsPerFreePlace * state.streams.free && state.streams.take()
        }
    }

    private static let streamsPerFreePlace = 7

    /// How many connections one tunnel may have when there is no other.
    var maximumStreamsAlone: Int { self.maximumStreams - self.maximumStreams / (Self.streamsPerFreePlace + 1) }

    /// Gives it back, once the connection is closed or did not come about.
    func giveBackStream() {
        self.giveBack { $0.streams.giveBack() }
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

    /// A relay has begun.
    ///
    /// - Parameter endFlow: has it look whether it ``owesFlow(_:)``, and end one then; called from anywhere.
    func relayOpened(endFlow: @escaping @Sendable () -> Void) -> FlowShares.RelayID {
        self.state.withLock { state in
            let id = FlowShares.RelayID(rawValue: state.nextRelay)
            state.nextRelay += 1
            state.relays[id] = endFlow
            return id
        }
    }

    /// A relay has ended.
    func relayClosed(_ relay: FlowShares.RelayID) {
        self.giveBack { $0.relays[relay] = nil }
    }

    /// Takes a place for one UDP flow of a relay; false when it has to end one of its own for that.
    func takeFlow(of relay: FlowShares.RelayID) -> Bool {
        let (place, endFlow) = self.state.withLock { state in
            let place = state.flows.take(by: relay)
            guard case .of(let other) = place else { return (place, nil as (@Sendable () -> Void)?) }
            return (place, state.relays[other])
        }
        endFlow?()
        return place != .own
    }

    /// A flow has ended.
    func giveBackFlow(of relay: FlowShares.RelayID) {
        self.state.withLock { $0.flows.giveBack(by: relay) }
    }

    /// Whether a relay has a flow to end because another has got its place.
    func owesFlow(_ relay: FlowShares.RelayID) -> Bool {
        self.state.withLock { $0.flows.owes(relay) }
    }

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
