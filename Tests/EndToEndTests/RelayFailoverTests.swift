import Foundation
import Synchronization
import TestSupport
import Testing

/// Agents and servers come and go; datagrams find their way.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct RelayFailoverTests {
    @Test(arguments: SignalScheme.allCases)
    func `when the agent in use is killed traffic goes on through the other within 5 s, and nothing is lost after that`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let first = try await cluster.agent("first")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        // Later than the first, so that the relay does not know of it yet.
        let second = try await cluster.agent("second")
        let traffic = try SteadyTraffic(to: relay.port)
        try await traffic.untilAnswered()
        await first.program.kill9()
        let clock = ContinuousClock()
        let killed = clock.now
        _ = try await relay.program.logLine("the next agent") {
            $0.contains("event=agent.selected") && $0.contains("agent=second")
        }
        try await traffic.untilAnswered()
        #expect(clock.now - killed < .seconds(5))
        try await traffic.expectNothingLost(for: .seconds(2))
        traffic.stop()
        await stopAll([cluster.server, second.program, relay.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent that was killed and started again under its name is a new one, and serves within 5 s`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let before = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        let traffic = try SteadyTraffic(to: relay.port)
        try await traffic.untilAnswered()
        await before.program.kill9()
        let after = try await cluster.agent("egress")
        #expect(after.instance != before.instance)
        let clock = ContinuousClock()
        let restarted = clock.now
        _ = try await relay.program.logLine("the new instance") {
            $0.contains("event=agent.selected") && $0.contains(after.instance)
        }
        try await traffic.untilAnswered()
        #expect(clock.now - restarted < .seconds(5))
        try await traffic.expectNothingLost(for: .seconds(2))
        traffic.stop()
        await stopAll([cluster.server, after.program, relay.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a server that is away for 20 s does not cost a datagram`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        let traffic = try SteadyTraffic(to: relay.port)
        try await traffic.untilAnswered()
        await cluster.server.kill9()
        try await traffic.expectNothingLost(for: .seconds(20))
        let known = relay.program.errors.lines.count
        let server = try await cluster.relaunchServer()
        // An agent or relay that has tried in vain for 20 s waits for up to 20 s more.
        _ = try await relay.program.logLine(within: .seconds(40), "the server") {
            $0.contains("event=signal.connected")
        }
        try await traffic.expectNothingLost(for: .seconds(2))
        let selections = relay.program.errors.lines.filter { $0.contains("event=agent.selected") }
        #expect(selections.count == 1 && known > 0)
        traffic.stop()
        await stopAll([server, agent.program, relay.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent that stops is left before it goes, without a datagram lost`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let first = try await cluster.agent("first")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        let second = try await cluster.agent("second")
        let traffic = try SteadyTraffic(to: relay.port)
        try await traffic.untilAnswered()
        first.program.signal(SIGTERM)
        #expect(try await first.program.end() == .exit(0))
        try await traffic.untilAnswered()
        // What was under way to the first agent when its answers were not wanted any more.
        #expect(traffic.lost <= 3, "\(traffic.lost) lost")
        traffic.stop()
        await stopAll([cluster.server, second.program, relay.program])
    }

    @Test func `the agent that never expires comes first, then the one that expires last, and the choice stays`()
        async throws
    {
        let cluster = try await Cluster(.quic)
        let short = try await cluster.agent("short", options: ["--expire_in", "5"])
        let long = try await cluster.agent("long", options: ["--expire_in", "50"])
        let echo = try UDPEchoService()
        let rule = "127.0.0.1:0?to=127.0.0.1:\(echo.port)"
        let sticky = try await cluster.relay([rule])
        #expect(sticky.program.errors.text.contains("agent=long"))
        let forever = try await cluster.agent("forever")
        let fresh = try await cluster.relay([rule])
        #expect(fresh.program.errors.text.contains("agent=forever"))
        let picky = try await cluster.relay([rule], options: ["--agent", "sho.*"])
        #expect(picky.program.errors.text.contains("agent=short"))
        // The first relay has heard of nothing that would make it change.
        let traffic = try SteadyTraffic(to: sticky.port)
        try await traffic.expectNothingLost(for: .seconds(3))
        #expect(try await Cluster.statistics(of: sticky.program)["agent"] == "long")
        await long.program.kill9()
        _ = try await sticky.program.logLine("the next choice") {
            $0.contains("event=agent.selected") && $0.contains("agent=forever")
        }
        traffic.stop()
        await stopAll([
            cluster.server, short.program, forever.program, sticky.program, fresh.program, picky.program,
        ])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a relay that was started first keeps datagrams until there is an agent`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"], connected: false)
        let socket = try DatagramSocket(connectedTo: relay.port)
        for number in 0..<300 { try socket.send([UInt8(number / 2)]) }
        let agent = try await cluster.agent("late")
        // The newest 256 of 300.
        let answers = try await onThread {
            try (0..<256).map { _ in try socket.receive()?.first }
        }
        #expect(answers == (44..<300).map { UInt8($0 / 2) })
        #expect(try await Cluster.statistics(of: relay.program)["dropped_no_channel"] == "44")
        #expect(relay.program.errors.text.contains("reason=no_channel"))
        await stopAll([cluster.server, agent.program, relay.program])
    }
}

/// A local sender of numbered datagrams, one every 5 ms, which notes what is answered.
private final class SteadyTraffic: Sendable {
    private struct State {
        var sent = 0
        var answered: Set<Int> = []
        var isStopping = false
    }

    private static let interval = Duration.milliseconds(5)
    /// Whatever is not answered by then is lost.
    private static let patience = Duration.seconds(2)
    private let state = Mutex(State())

    init(to port: Int) throws {
        let socket = try DatagramSocket(connectedTo: port)
        Self.thread { [self] in
            let clock = ContinuousClock()
            var next = clock.now
            while let number = self.nextNumber() {
                try? socket.send(withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) })
                next += Self.interval
                Thread.sleep(forTimeInterval: max(0, (next - clock.now) / .seconds(1)))
            }
        }
        Self.thread { [self] in
            while !self.state.withLock({ $0.isStopping }) {
                guard let answer = try? socket.receive(within: .milliseconds(100)), answer.count == 4 else { continue }
                let number = answer.reduce(0) { $0 << 8 | Int($1) }
                self.state.withLock { _ = $0.answered.insert(number) }
            }
        }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.stackSize = 1 << 19
        thread.start()
    }

    private func nextNumber() -> Int? {
        self.state.withLock { state in
            guard !state.isStopping else { return nil }
            state.sent += 1
            return state.sent - 1
        }
    }

    /// Ends sender and receiver.
    func stop() { self.state.withLock { $0.isStopping = true } }

    /// How many of those that have had time for an answer got none.
    var lost: Int {
        self.state.withLock { state in
            let due = state.sent - Int(Self.patience / Self.interval)
            return due - state.answered.count { $0 < due }
        }
    }

    /// Waits for the answer to a datagram that is sent from now on.
    func untilAnswered() async throws {
        let first = self.state.withLock { $0.sent }
        try await eventually(within: .seconds(10), "an answer") {
            self.state.withLock { state in state.answered.contains { $0 >= first } }
        }
    }

    /// Lets traffic flow, and sees to it that every datagram sent in the meantime is answered.
    func expectNothingLost(for time: Duration) async throws {
        try await self.untilAnswered()
        let first = self.state.withLock { $0.sent }
        try await ContinuousClock().sleep(for: time)
        let end = self.state.withLock { $0.sent }
        #expect(end - first > Int(time / Self.interval) / 2, "the sender did not get its time")
        try? await eventually(within: Self.patience, "the last answers") { self.missing(first..<end).isEmpty }
        let missing = self.missing(first..<end)
        #expect(missing.isEmpty, "\(missing.count) of \(end - first) lost")
    }

    private func missing(_ range: Range<Int>) -> [Int] {
        self.state.withLock { state in range.filter { !state.answered.contains($0) } }
    }
}
