import Basics
import Foundation
import TLS
import TestSupport
import Testing

/// `--authorized-clients`: who gets in at an agent, what they reach, and what becomes of those who are taken off the list.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct AuthorizedClientsTests {
    /// A key that a program keeps.
    private func identity(_ name: String, _ cluster: Cluster) throws -> (option: [String], key: CertificateFingerprint)
    {
        let file = cluster.folder.file(name + ".pem")
        return (["--identity", file], try ProcessIdentity.keeping(in: file, commonName: "test").fingerprint)
    }

    private func list(_ text: String, _ cluster: Cluster) throws -> [String] {
        ["--authorized-clients", try cluster.folder.write("clients", text)]
    }

    /// Whether a connection by the proxy reaches an echo service.
    private func reaches(_ proxy: Int, _ address: SOCKSTestClient.Address = .loopback, port: Int) async throws -> Bool {
        let (reply, connection) = try await SOCKSTestClient.request5(proxy: proxy, address, port: port)
        guard reply == 0 else { return false }
        return try await onThread {
            try connection.send("hello")
            return try connection.receive(exactly: 5) == Array("hello".utf8)
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `a client that is not listed hears what to do, before anything is made of it, and gets in once it is`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let (option, key) = try self.identity("client", cluster)
        let (agent, _) = try await cluster.agent("office", options: self.list("# nobody so far\n", cluster))
        let echo = try TCPService.echo()
        let socks = try await cluster.socks(options: ["--agent", "office"] + option)
        let words = "agent office does not list this client's key \(key): add it to its --authorized-clients"
        let line = try await socks.program.logLine("the warning") { $0.contains(words) }
        #expect(line.contains(" warn "), "\(line)")
        let refused = try await agent.logLine("the refusal") {
            $0.contains("event=peer.refused") && $0.contains("reason=key_unknown") && $0.contains("key=\(key)")
        }
        let peer = try #require(LogEvent(refused)?["peer"])
        #expect(agent.errors.lines.filter { $0.contains("peer=\(peer)") }.count == 1)
        // It goes on trying, and says no more of it.
        try await ContinuousClock().sleep(for: .seconds(3))
        #expect(socks.program.isRunning)
        #expect(
            socks.program.errors.lines.filter { $0.contains(words) && !$0.lowercased().contains("debug") }.count == 1)
        #expect(agent.errors.lines.filter { $0.contains("event=peer.refused") }.count == 1)

        _ = try self.list("\(key) laptop\n", cluster)
        _ = try await agent.logLine(within: .seconds(10), "the new list") {
            $0.contains("event=keys.reloaded") && $0.contains("clients=1")
        }
        try await eventually(within: .seconds(15), "service") { try await self.reaches(socks.port, port: echo.port) }
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test func `another agent that matches is used instead`() async throws {
        let cluster = try await Cluster(.quic)
        // Preferred, if its name decides.
        let (strict, _) = try await cluster.agent("a", options: self.list("", cluster))
        let (open, _) = try await cluster.agent("b")
        let echo = try TCPService.echo()
        let socks = try await cluster.socks()
        #expect(try await self.reaches(socks.port, port: echo.port))
        _ = try await socks.program.logLine("the choice") {
            $0.contains("event=agent.selected") && $0.contains("agent=b")
        }
        await stopAll([cluster.server, strict, open, socks.program])
    }

    @Test func `a client reaches what its line and the agent allow: connections, names, datagrams, relays`()
        async throws
    {
        let cluster = try await Cluster(.https)
        let (option, key) = try self.identity("client", cluster)
        let (tcp, forbidden) = (try TCPService.echo(), try TCPService.echo())
        let (udp, forbiddenUDP) = (try UDPEchoService(), try UDPEchoService())
        let (agent, _) = try await cluster.agent(
            "office",
            options: self.list("\(key) allow=127.0.0.1:\(tcp.port),\(udp.port) max-streams=3 laptop", cluster))
        let socks = try await cluster.socks(options: option)
        #expect(try await self.reaches(socks.port, port: tcp.port))
        #expect(try await self.reaches(socks.port, .name("localhost"), port: tcp.port))
        for address in [SOCKSTestClient.Address.loopback, .name("localhost")] {
            let (reply, _) = try await SOCKSTestClient.request5(proxy: socks.port, address, port: forbidden.port)
            #expect(reply == 2, "not allowed by ruleset (RFC 1928 §6)")
        }
        #expect(try await !self.reaches(socks.port, .loopback6, port: tcp.port))

        let association = try await SOCKSTestClient.associate(proxy: socks.port)
        let socket = try DatagramSocket("127.0.0.1")
        for (port, isAllowed) in [(forbiddenUDP.port, false), (udp.port, true)] {
            for address in [SOCKSTestClient.Address.loopback, .name("localhost")] {
                let answer = try await onThread {
                    try socket.send(
                        SOCKSTestClient.datagram(address, port: port, [1]), to: "127.0.0.1",
                        port: association.relay.port)
                    return try socket.receive(within: isAllowed ? .seconds(10) : .milliseconds(500))
                }
                #expect((answer != nil) == isAllowed)
            }
        }

        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(udp.port)"], options: option)
        let answer = try await onThread {
            try DatagramSocket(connectedTo: relay.port).answer(to: [7], within: .seconds(10))
        }
        #expect(answer == [7])
        let refused = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:\(forbiddenUDP.port)"], options: option, connected: false)
        _ = try await refused.program.logLine("the refusal") {
            $0.contains("the agent's policy refuses 127.0.0.1:\(forbiddenUDP.port)")
        }

        // The association is one of three.
        var connections: [BlockingSocket] = []
        for _ in 0..<2 { connections.append(try await SOCKSTestClient.connect5(proxy: socks.port, port: tcp.port)) }
        let (reply, _) = try await SOCKSTestClient.request5(proxy: socks.port, .loopback, port: tcp.port)
        #expect(reply != 0)
        withExtendedLifetime((connections, association)) {}
        await stopAll([cluster.server, agent, socks.program, relay.program, refused.program])
    }

    @Test(arguments: SignalScheme.allCases, ["direct", "bridge"])
    func `a line that is removed ends what its client is doing, at both ends, and nobody else's`(
        scheme: SignalScheme, path: String
    ) async throws {
        let cluster = try await Cluster(scheme)
        let (gone, goneKey) = try self.identity("gone", cluster)
        let (kept, keptKey) = try self.identity("kept", cluster)
        let (agent, _) = try await cluster.agent(
            "office", options: self.list("\(goneKey)\n\(keptKey) max-streams=100\n", cluster) + ["--p2p", path])
        let (tcp, udp) = (try TCPService.echo(), try UDPEchoService())
        let removed = try await cluster.socks(options: gone + ["--p2p", path])
        let other = try await cluster.socks(options: kept + ["--p2p", path])
        let rule = "127.0.0.1:0?to=127.0.0.1:\(udp.port)"
        let relay = try await cluster.relay([rule], options: gone + ["--p2p", path])
        let steady = try await cluster.relay([rule], options: kept + ["--p2p", path])
        let traffic = try SteadyTraffic(to: steady.port)
        let connection = try await SOCKSTestClient.connect5(proxy: removed.port, port: tcp.port)
        let untouched = try await SOCKSTestClient.connect5(proxy: other.port, port: tcp.port)
        let answered = try await onThread {
            try DatagramSocket(connectedTo: relay.port).answer(to: [1], within: .seconds(10))
        }
        #expect(answered == [1])

        // In the middle of a transfer that never ends by itself.
        let transfer = Task {
            try await onThread {
                let chunk = [UInt8](repeating: 1, count: 10_000)
                while true {
                    try connection.send(chunk)
                    guard try connection.receive(exactly: 10_000).count == 10_000 else { return }
                }
            }
        }
        async let undisturbed: Void = traffic.expectNothingLost(for: .seconds(3))
        try await ContinuousClock().sleep(for: .milliseconds(500))
        _ = try self.list("# \(goneKey)\n\(keptKey)\n", cluster)
        agent.signal(SIGHUP)
        _ = try await agent.logLine("the new list") { $0.contains("event=keys.reloaded") && $0.contains("closed=2") }
        let began = ContinuousClock.now
        await #expect(throws: (any Error).self) { try await transfer.value }
        #expect(ContinuousClock.now - began < .seconds(5))
        _ = try await removed.program.logLine("why") {
            $0.contains("event=peer.closed") && $0.contains("does not list this client's key \(goneKey) any more")
        }
        for program in [removed.program, relay.program] {
            _ = try await program.logLine("what to do") {
                $0.contains("agent office does not list this client's key \(goneKey):")
            }
        }
        try await onThread {
            try untouched.send("still")
            #expect(try untouched.receive(exactly: 5) == Array("still".utf8))
        }
        try await undisturbed
        traffic.stop()
        await stopAll([cluster.server, agent, removed.program, other.program, relay.program, steady.program])
    }

    @Test func `what a changed line does not allow any more ends, and the rest goes on`() async throws {
        let cluster = try await Cluster(.https)
        let (option, key) = try self.identity("client", cluster)
        let (agent, _) = try await cluster.agent("office", options: self.list("\(key)", cluster))
        let (first, second, udp) = (try TCPService.echo(), try TCPService.echo(), try UDPEchoService())
        let socks = try await cluster.socks(options: option)
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(udp.port)"], options: option)
        let ending = try await SOCKSTestClient.connect5(proxy: socks.port, port: first.port)
        let staying = try await SOCKSTestClient.connect5(proxy: socks.port, port: second.port)
        _ = try self.list("\(key) allow=127.0.0.0/8:\(second.port)", cluster)
        agent.signal(SIGHUP)
        await #expect(throws: (any Error).self) { try await onThread { _ = try ending.receive(exactly: 1) } }
        _ = try await relay.program.logLine("the relay's end") {
            $0.contains("the agent's policy refuses 127.0.0.1:\(udp.port)")
        }
        try await onThread {
            try staying.send("still")
            #expect(try staying.receive(exactly: 5) == Array("still".utf8))
        }
        let (reply, _) = try await SOCKSTestClient.request5(proxy: socks.port, .loopback, port: first.port)
        #expect(reply == 2)

        // A list that makes no sense changes nothing.
        _ = try self.list("\(key) allow=10.0.0.1/8\n", cluster)
        agent.signal(SIGHUP)
        _ = try await agent.logLine("the error") {
            $0.contains("event=keys.reload_failed") && $0.contains("clients:1: ")
                && $0.contains("bits set behind its prefix")
        }
        #expect(try await self.reaches(socks.port, port: second.port))
        await stopAll([cluster.server, agent, socks.program, relay.program])
    }

    @Test func `nobody gets in with the fingerprint of another, whatever the server says`() async throws {
        let cluster = try await Cluster(.quic)
        let (_, key) = try self.identity("listed", cluster)
        let (agent, instance) = try await cluster.agent("office", options: self.list("\(key)", cluster))
        let target = try OfferingClient.Agent("office", instance)
        // With the right key for what it says it is, the way is open.
        let listed = try ProcessIdentity.keeping(in: cluster.folder.file("listed.pem"), commonName: "test")
        #expect(try await OfferingClient(cluster, identity: listed).enter(target, as: key) == nil)
        // As by a server that looks at no proof: the client has given none.
        let thief = try await OfferingClient(cluster, identity: ProcessIdentity(commonName: "thief"), proves: false)
        let reason = try #require(try await thief.enter(target, as: key))
        #expect("\(reason)".contains("certificate") || "\(reason)".contains("fingerprint"), "\(reason)")
        #expect(agent.errors.lines.filter { $0.contains("event=peer.connected") }.count == 1)
        // One that has proved another key does not get that far.
        let prover = try await OfferingClient(cluster, identity: ProcessIdentity(commonName: "prover"))
        #expect(await prover.offer(1, to: target, of: key) == [.badRequest])
        #expect(await prover.offer(1, to: target) == [.clientUnknown])
        await stopAll([cluster.server, agent])
    }

    @Test func `a list that others can change is warned of`() async throws {
        let cluster = try await Cluster(.https)
        let options = try self.list("", cluster)
        try await ShellCommand.run("chmod 666 '\(options[1])'")
        let (agent, _) = try await cluster.agent("office", options: options)
        #expect(agent.errors.text.contains("others can change the authorized clients in \(options[1]) (mode 0666)"))
        await stopAll([cluster.server, agent])
    }

    @Test(arguments: [("SHA256:short\n", Int32(78)), (nil, 69)])
    func `a start with a list that cannot be used ends at once`(text: String?, code: Int32) async throws {
        let cluster = try await Cluster(.https)
        let file = try text.map { try cluster.folder.write("clients", $0) } ?? cluster.folder.file("missing")
        let agent = try cluster.launchAgent("office", options: ["--authorized-clients", file])
        #expect(try await agent.end() == .exit(code))
        #expect(agent.errors.text.contains(file))
        await stopAll([cluster.server])
    }
}
