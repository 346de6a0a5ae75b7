import Foundation
import TestSupport
import Testing

/// Agents and servers come and go; datagrams find their way.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct RelayFailoverTests {
    /// A relay with one rule, to an echo, through the only agent that there is so far.
    private struct Scene {
        let cluster: Cluster
        let agent: (program: RunningProgram, instance: String)
        let relay: Cluster.Relay
        private let echo: UDPEchoService

        init(_ scheme: SignalScheme, agent name: String) async throws {
            self.cluster = try await Cluster(scheme)
            self.agent = try await self.cluster.agent(name)
            self.echo = try UDPEchoService()
            self.relay = try await self.cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(self.echo.port)"])
        }

        /// Begins steady traffic, and waits until it is answered.
        func traffic() async throws -> SteadyTraffic {
            let traffic = try SteadyTraffic(to: self.relay.port)
            try await traffic.untilAnswered()
            return traffic
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `when the agent in use is killed traffic goes on through the other within 5 s, and nothing is lost after that`(
        scheme: SignalScheme
    ) async throws {
        try await expectWithin(.seconds(5)) {
            let scene = try await Scene(scheme, agent: "first")
            let (cluster, first, relay) = (scene.cluster, scene.agent, scene.relay)
            // Later than the first, so that the relay does not know of it yet.
            let second = try await cluster.agent("second")
            let traffic = try await scene.traffic()
            await first.program.kill9()
            let clock = ContinuousClock()
            let killed = clock.now
            _ = try await relay.program.logLine("the next agent") {
                $0.contains("event=agent.selected") && $0.contains("agent=second")
            }
            try await traffic.untilAnswered()
            let time = clock.now - killed
            try await traffic.expectNothingLost(for: .seconds(2))
            traffic.stop()
            await stopAll([cluster.server, second.program, relay.program])
            return time
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent that was killed and started again under its name is a new one, and serves within 5 s`(
        scheme: SignalScheme
    ) async throws {
        try await expectWithin(.seconds(5)) {
            let scene = try await Scene(scheme, agent: "egress")
            let (cluster, before, relay) = (scene.cluster, scene.agent, scene.relay)
            let traffic = try await scene.traffic()
            await before.program.kill9()
            let after = try await cluster.agent("egress")
            #expect(after.instance != before.instance)
            let clock = ContinuousClock()
            let restarted = clock.now
            _ = try await relay.program.logLine("the new instance") {
                $0.contains("event=agent.selected") && $0.contains(after.instance)
            }
            try await traffic.untilAnswered()
            let time = clock.now - restarted
            try await traffic.expectNothingLost(for: .seconds(2))
            traffic.stop()
            await stopAll([cluster.server, after.program, relay.program])
            return time
        }
    }

    @Test func `a server that is away for 20 s does not cost a datagram`() async {
        await withBothSchemes { scheme in
            let scene = try await Scene(scheme, agent: "egress")
            let (cluster, agent, relay) = (scene.cluster, scene.agent, scene.relay)
            let traffic = try await scene.traffic()
            await cluster.server.kill9()
            try await traffic.expectNothingLost(for: .seconds(20))
            let known = relay.program.errors.lines.count
            let server = try await cluster.relaunchServer()
            // Whoever has tried in vain for 20 s may wait for up to 30 s before trying again.
            _ = try await relay.program.logLine(within: .seconds(40), "the server", from: known) {
                $0.contains("event=signal.connected")
            }
            try await traffic.expectNothingLost(for: .seconds(2))
            let selections = relay.program.errors.lines.filter { $0.contains("event=agent.selected") }
            #expect(selections.count == 1, "\(scheme): \(selections)")
            traffic.stop()
            await stopAll([server, agent.program, relay.program])
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent that stops is left before it goes, without a datagram lost`(scheme: SignalScheme) async throws {
        let scene = try await Scene(scheme, agent: "first")
        let (cluster, first, relay) = (scene.cluster, scene.agent, scene.relay)
        let second = try await cluster.agent("second")
        let traffic = try await scene.traffic()
        first.program.signal(SIGTERM)
        #expect(try await first.program.end() == .exit(0))
        try await traffic.untilAnswered()
        // What was under way to the first agent when its answers were not wanted any more.
        await traffic.expectLost(atMost: 3)
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
            try (0..<256).compactMap { _ in try socket.receive()?.first }
        }
        // In any order: the channel may change its path meanwhile.
        #expect(answers.sorted() == (44..<300).map { UInt8($0 / 2) })
        #expect(try await Cluster.statistics(of: relay.program)["dropped_no_channel"] == "44")
        #expect(relay.program.errors.text.contains("reason=no_channel"))
        await stopAll([cluster.server, agent.program, relay.program])
    }
}
