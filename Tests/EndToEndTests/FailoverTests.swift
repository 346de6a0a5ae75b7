import Foundation
import Synchronization
import TestSupport
import Testing

/// Agents and servers come and go; traffic finds its way.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct FailoverTests {
    @Test(arguments: SignalScheme.allCases)
    func `when the agent in use is killed the next connection leaves through the other within 5 s`(
        scheme: SignalScheme
    ) async throws {
        try await expectWithin(.seconds(5)) {
            let cluster = try await Cluster(scheme)
            let first = try await cluster.agent("first")
            let socks = try await cluster.socks()
            let echo = try TCPService.echo()
            _ = try await Self.exchange(proxy: socks.port, echo: echo)
            let second = try await cluster.agent("second")
            await first.program.kill9()
            let clock = ContinuousClock()
            let began = clock.now
            _ = try await Self.exchange(proxy: socks.port, echo: echo)
            let time = clock.now - began
            _ = try await socks.program.logLine("the other agent") { $0.contains("agent=second") }
            await stopAll([cluster.server, second.program, socks.program])
            return time
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `a download survives the server, and the agent comes back as the same instance`(
        scheme: SignalScheme
    ) async throws {
        try await expectWithin(.seconds(5)) {
            let cluster = try await Cluster(scheme)
            let agent = try await cluster.agent("egress")
            let socks = try await cluster.socks()
            // Sends in step with the reader, so that the download is under way for as long as the test wants it to be.
            let service = try TCPService { connection in
                while try connection.receive(exactly: 1) == [1] {
                    try connection.send([UInt8](repeating: 3, count: 100_000))
                }
                connection.shutdownSending()
            }
            let download = try await SOCKSTestClient.connect5(proxy: socks.port, port: service.port)
            let step: @Sendable () throws -> Void = {
                try download.send([1])
                _ = try download.receive(exactly: 100_000)
            }
            try await onThread(step)
            let known = agent.program.errors.lines.count
            await cluster.server.kill9()
            try await onThread(step)
            let server = try await cluster.relaunchServer()
            let clock = ContinuousClock()
            let restarted = clock.now
            try await onThread(step)
            let line = try await agent.program.logLine("the agent connected again", from: known) {
                $0.contains("event=signal.connected")
            }
            let time = clock.now - restarted
            #expect(line.contains(agent.instance))
            try await onThread {
                try step()
                try download.send([0])
                let rest = try download.receiveToEnd()
                #expect(rest.isEmpty)
            }
            #expect(try await Self.instances(cluster, named: "egress") == [agent.instance])
            await stopAll([server, agent.program, socks.program])
            return time
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent that was restarted has a new instance id`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let before = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        _ = try await Self.exchange(proxy: socks.port, echo: echo)
        await before.program.stop()
        #expect(try await before.program.end() == .exit(0))
        let after = try await cluster.agent("egress")
        #expect(after.instance != before.instance)
        _ = try await Self.exchange(proxy: socks.port, echo: echo)
        await stopAll([cluster.server, after.program, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `of two agents with one name the newer stays and the older ends with 75`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let older = try await cluster.agent("egress")
        let newer = try await cluster.agent("egress")
        #expect(try await older.program.end(within: .seconds(5)) == .exit(75))
        #expect(older.program.errors.text.contains("replaced"))
        #expect(try await Self.instances(cluster, named: "egress") == [newer.instance])
        await stopAll([cluster.server, newer.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent that expires ends with 0 and its session is gone`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let clock = ContinuousClock()
        let began = clock.now
        let agent = try await cluster.agent("brief", options: ["--expire_in", "0.05"])
        #expect(try await Self.instances(cluster, named: "brief") == [agent.instance])
        #expect(try await agent.program.end() == .exit(0))
        #expect((2.5...10).contains((clock.now - began) / .seconds(1)))
        #expect(agent.program.errors.text.contains("expired"))
        #expect(try await Self.instances(cluster, named: "brief").isEmpty)
        await cluster.server.stop()
    }

    @Test func `programs started before the server find it, and say once that it is away`() async throws {
        let cluster = try await Cluster(.https)
        await cluster.server.stop()
        let agent = try cluster.launchAgent("early")
        _ = try await agent.logLine("the unreachable server") { $0.contains("localhost:\(cluster.port)") }
        let server = try await cluster.relaunchServer()
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready agent=early ") }
        let warnings = agent.errors.lines.filter { $0.contains(" warn") && $0.contains("localhost:\(cluster.port)") }
        #expect(warnings.count == 1)
        await stopAll([server, agent])
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent that is asked to stop says so, and clients hear of it at once`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let service = try TCPService { connection in _ = try connection.receiveToEnd() }
        // Keeps the agent from ending at once: what is open may finish.
        let open = try await SOCKSTestClient.connect5(proxy: socks.port, port: service.port)
        agent.program.signal(SIGTERM)
        for program in [socks.program, cluster.server] {
            let line = try await program.logLine(within: .seconds(5), "the agent's goodbye") {
                $0.contains("event=agent.gone")
            }
            #expect(line.contains("reason=stopped"))
        }
        #expect(agent.program.isRunning)
        try await onThread { open.shutdownSending() }
        #expect(try await agent.program.end() == .exit(0))
        await stopAll([cluster.server, socks.program])
    }

    @Test func `connections wait ten seconds for another agent, and no longer`() async {
        await withBothSchemes { scheme in
            let cluster = try await Cluster(scheme)
            let agent = try await cluster.agent("only")
            let socks = try await cluster.socks()
            let echo = try TCPService.echo()
            _ = try await Self.exchange(proxy: socks.port, echo: echo)
            await agent.program.kill9()
            let clock = ContinuousClock()
            let began = clock.now
            let (reply, _) = try await SOCKSTestClient.request5(proxy: socks.port, .loopback, port: echo.port)
            let seconds = (clock.now - began) / .seconds(1)
            #expect(reply == 1, "\(scheme)")
            #expect((9.5...15).contains(seconds), "\(scheme): \(seconds) s")
            await stopAll([cluster.server, socks.program])
        }
    }

    @Test func `a client without the agent's end-to-end secret says so once`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress", options: ["--e2e-secret", "one"])
        let socks = try await cluster.socks(options: ["--e2e-secret", "two"])
        _ = try await socks.program.logLine("the second attempt") {
            $0.contains("event=peer.closed") && $0.contains(" debug ")
        }
        let warnings = socks.program.errors.lines.filter { $0.contains(" warn") }
        #expect(warnings.count == 1)
        #expect(warnings.allSatisfy { $0.contains("end-to-end secret") })
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(arguments: ["rtun-server", "rtun-agent", "rtun-socks"])
    func `SIGTERM ends each program with 0`(name: String) async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        _ = try await Self.exchange(proxy: socks.port, echo: echo)
        let program = [cluster.server, agent.program, socks.program].first { $0.name == name }
        program?.signal(SIGTERM)
        #expect(try await program?.end(within: .seconds(6)) == .exit(0))
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(
        .enabled(if: EgressNamespace.isAvailable, "needs root, to give the agent a network namespace"),
        arguments: SignalScheme.allCases)
    func `an agent whose address changes is back at the server at once`(scheme: SignalScheme) async throws {
        // The silence of the old connection would be noticed after 15 s.
        try await expectWithin(.seconds(5)) {
            let namespace = try await EgressNamespace()
            let (server, agent, instance, _) = try await namespace.startServerAndAgent(scheme, agent: "roaming")
            let known = agent.errors.lines.count
            let clock = ContinuousClock()
            let began = clock.now
            try await namespace.changeAddress(to: "203.0.113.3")
            _ = try await agent.logLine("the connection is given up", from: known) {
                $0.contains("event=signal.lost") && $0.contains("203.0.113.2 is gone") && $0.contains("retry_in_ms=0")
            }
            let line = try await agent.logLine("the agent connected again", from: known) {
                $0.contains("event=signal.connected")
            }
            let time = clock.now - began
            #expect(line.contains(instance))
            await stopAll([server, agent])
            return time
        }
    }

    /// One connection through the proxy, and one exchange on it.
    private static func exchange(proxy: Int, echo: TCPService) async throws -> BlockingSocket {
        let connection = try await SOCKSTestClient.connect5(proxy: proxy, port: echo.port)
        try await onThread {
            try connection.send("ping")
            let received = try connection.receive(exactly: 4)
            #expect(received == Array("ping".utf8))
        }
        return connection
    }

    /// The instances that `--list-agents` shows under a name.
    private static func instances(_ cluster: Cluster, named name: String) async throws -> [String] {
        let list = try cluster.launchSocks(options: ["--list-agents"])
        #expect(try await list.end() == .exit(0))
        return list.output.lines.compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            return fields.count > 1 && fields[0] == name ? String(fields[1]) : nil
        }
    }
}
