import Foundation
import TestSupport
import Testing

/// A resource runs out: what is there goes on, clients hear of it at once, the log says it, and service returns by itself.
@Suite(.timeLimit(.minutes(2)))
struct ExhaustionTests {
    /// An agent that may have 80 files open, once it serves.
    private func agentWithFewFiles(_ cluster: Cluster) async throws -> RunningProgram {
        let agent = try RunningProgram(
            "/bin/sh",
            [
                "-c",
                """
                ulimit -n 80
                exec '\(RunningProgram.folder)/rtun-agent' '\(cluster.url)' --agent egress --ca-cert \
                '\(cluster.certificates.authority)'
                """,
            ], environment: ["RTUN_SECRET": Cluster.secret])
        _ = try await agent.line("the ready line") { $0.contains(" ready ") }
        return agent
    }

    @Test func `an agent that is out of files refuses at once, keeps what it has, and serves again`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await self.agentWithFewFiles(cluster)
        _ = try await agent.logLine("the limit") { $0.contains("event=limit.files files=80") }
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        var connections: [BlockingSocket] = []
        var refusals = 0
        for _ in 0..<60 {
            let started = ContinuousClock.now
            do {
                connections.append(try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port))
            } catch {
                refusals += 1
                #expect(ContinuousClock.now - started < .seconds(5))
            }
        }
        #expect(connections.count >= 4)
        #expect(refusals >= 20)
        let first = connections[0]
        try await onThread {
            try first.send("still")
            #expect(try first.receive(exactly: 5) == Array("still".utf8))
        }
        let lines = agent.errors.lines.filter { $0.contains("event=stream.refused") }
        #expect((1...3).contains(lines.count), "\(lines)")
        connections = []
        try await eventually(within: .seconds(10), "service") {
            (try? await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)) != nil
        }
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test func `idle flows make room when a relay is out of files`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await self.agentWithFewFiles(cluster)
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        try await onThread {
            for _ in 0..<60 { try DatagramSocket(connectedTo: relay.port).send([1]) }
            // Once they have been idle for long enough.
            let later = try DatagramSocket(connectedTo: relay.port)
            #expect(try later.answer(to: [2], within: .seconds(10)) == [2])
        }
        await stopAll([cluster.server, agent, relay.program])
    }
}
