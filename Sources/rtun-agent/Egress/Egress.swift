import Synchronization

/// What all peers share on their way out: how targets are dialed, and how many connections and UDP flows may be open.
final class Egress: Sendable {
    private struct State {
        var streams: Quota
        var flows: Quota
        var relays = 0
        var idleWaiters: [AsyncStream<Void>.Continuation] = []

        var isIdle: Bool { self.streams.used == 0 && self.relays == 0 }
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
        self.state = Mutex(State(streams: Quota(limit: maximumStreams), flows: Quota(limit: maximumFlows)))
    }

    /// Takes one connection out of the limit; false when there is none left.
    func takeStream() -> Bool {
        self.state.withLock { $0.streams.take() }
    }

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
    func relayOpened() {
        self.state.withLock { $0.relays += 1 }
    }

    /// A relay has ended.
    func relayClosed() {
        self.giveBack { $0.relays -= 1 }
    }

    /// Takes one UDP flow out of the limit; false when there is none left.
    func takeFlow() -> Bool {
        self.state.withLock { $0.flows.take() }
    }

    /// Gives it back.
    func giveBackFlow() {
        self.state.withLock { $0.flows.giveBack() }
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
