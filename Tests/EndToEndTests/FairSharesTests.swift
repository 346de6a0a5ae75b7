import AppProto
import Foundation
import TLS
import TestSupport
import Testing

/// One client that takes what it can get of an agent, and another one beside it.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct FairSharesTests {
    /// A proxy and a relay that have to work.
    private func expectService(_ cluster: Cluster, options: [String] = []) async throws -> [RunningProgram] {
        let (tcp, udp) = (try TCPService.echo(), try UDPEchoService())
        let socks = try await cluster.socks(options: options)
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: tcp.port)
        try await onThread {
            try connection.send("hello")
            #expect(try connection.receive(exactly: 5) == Array("hello".utf8))
        }
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(udp.port)"], options: options)
        let answer = try await onThread {
            try DatagramSocket(connectedTo: relay.port).answer(to: [1], within: .seconds(10))
        }
        #expect(answer == [1])
        return [socks.program, relay.program]
    }

    @Test(arguments: SignalScheme.allCases, [true, false])
    func `300 offers of one client do not fill an agent`(scheme: SignalScheme, isKept: Bool) async throws {
        let cluster = try await Cluster(scheme)
        let (agent, instance) = try await cluster.agent("office")
        let target = try OfferingClient.Agent("office", instance)
        let identity =
            isKept
            ? try ProcessIdentity.keeping(in: cluster.folder.file("greedy.pem"), commonName: "greedy")
            : try ProcessIdentity(commonName: "greedy")
        let greedy = try await OfferingClient(cluster, identity: identity)
        let answers = await greedy.offer(300, to: target)
        #expect(answers.count { $0 == nil } == 224)
        #expect(answers.count { $0 == .share } == 76)
        let refused = try await agent.logLine("the refusal") {
            $0.contains("event=peer.refused") && $0.contains("reason=share")
        }
        #expect(refused.contains("key=\(identity.fingerprint)"))
        // Told once, not 76 times.
        #expect(agent.errors.lines.filter { $0.contains("event=peer.refused") }.count == 1)
        let programs = try await self.expectService(cluster)
        await stopAll([cluster.server, agent] + programs)
    }

    @Test func `a proxy that was killed has its place again at once`() async throws {
        let cluster = try await Cluster(.https)
        let (agent, _) = try await cluster.agent("office", options: ["--max-peers", "2"])
        let echo = try TCPService.echo()
        let options = ["--identity", cluster.folder.file("kept.pem")]
        for turn in 0..<3 {
            let socks = try await cluster.socks(options: options)
            let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
            try await onThread {
                try connection.send("hello")
                #expect(try connection.receive(exactly: 5) == Array("hello".utf8), "\(turn)")
            }
            await socks.program.kill9()
        }
        #expect(agent.errors.lines.allSatisfy { !$0.contains("event=peer.refused") })
        await stopAll([cluster.server, agent])
    }

    @Test func `however many connections to the server one has, kept keys find room`() async throws {
        let cluster = try await Cluster(.https)
        let (agent, instance) = try await cluster.agent("office", options: ["--max-peers", "64"])
        let target = try OfferingClient.Agent("office", instance)
        var accepted = 0
        var greedy: [OfferingClient] = []
        for _ in 0..<12 {
            let client = try await OfferingClient(cluster, identity: ProcessIdentity(commonName: "greedy"))
            accepted += await client.offer(40, to: target).count { $0 == nil }
            greedy.append(client)
        }
        #expect(accepted == 60)
        let programs = try await self.expectService(
            cluster, options: ["--identity", cluster.folder.file("kept.pem")])
        withExtendedLifetime(greedy) {}
        await stopAll([cluster.server, agent] + programs)
    }

    @Test(arguments: SignalScheme.allCases)
    func `a client that opens all it can leaves connections and flows for another`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let (agent, _) = try await cluster.agent("office", options: ["--max-streams", "80", "--max-flows", "40"])
        let (tcp, udp) = (try TCPService.echo(), try UDPEchoService())
        let identity = ["--identity", cluster.folder.file("greedy.pem")]
        // Several processes and rules with one key are one client.
        var programs: [RunningProgram] = []
        var connections: [BlockingSocket] = []
        for _ in 0..<3 {
            let socks = try await cluster.socks(options: identity)
            programs.append(socks.program)
            for _ in 0..<30 {
                let (reply, connection) = try await SOCKSTestClient.request5(
                    proxy: socks.port, .loopback, port: tcp.port)
                guard reply == 0 else { break }
                connections.append(connection)
            }
        }
        #expect((60...70).contains(connections.count), "\(connections.count)")
        let rule = "127.0.0.1:0?to=127.0.0.1:\(udp.port)"
        let relay = try await cluster.relay([rule, rule], options: identity)
        let senders = try await onThread {
            try relay.ports.flatMap { port in
                try (0..<30).map { _ in
                    let sender = try DatagramSocket(connectedTo: port)
                    try sender.send([1])
                    _ = try sender.receive(within: .milliseconds(100))
                    return sender
                }
            }
        }
        let service = try await self.expectService(cluster)
        let first = try #require(connections.first)
        try await onThread {
            try first.send("still")
            #expect(try first.receive(exactly: 5) == Array("still".utf8))
        }
        withExtendedLifetime((connections, senders)) {}
        await stopAll([cluster.server, agent, relay.program] + programs + service)
    }
}
