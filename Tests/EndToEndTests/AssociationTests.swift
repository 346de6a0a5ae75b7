import Foundation
import TestSupport
import Testing

/// SOCKS 5 UDP ASSOCIATE (RFC 1928 §7) with real programs.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct AssociationTests {
    /// A client with an association.
    private struct Client: Sendable {
        let socket: DatagramSocket
        let connection: BlockingSocket
        let relay: Int
        let host: String

        /// A datagram to a target.
        func send(_ payload: [UInt8], to address: SOCKSTestClient.Address = .loopback, port: Int) throws {
            try self.socket.send(
                SOCKSTestClient.datagram(address, port: port, payload), to: self.host, port: self.relay)
        }

        /// The next datagram: where it is from, and its payload.
        func receive(within limit: Duration = .seconds(10)) throws -> (port: Int, payload: [UInt8])? {
            guard let bytes = try self.socket.receive(within: limit) else { return nil }
            let length = bytes[3] == 1 ? 4 : 16
            #expect(bytes[..<3] == [0, 0, 0])
            return (Int(bytes[4 + length]) << 8 | Int(bytes[5 + length]), Array(bytes[(6 + length)...]))
        }

        /// Whether what is sent comes back from the same port.
        func isEchoed(
            _ payload: [UInt8], by address: SOCKSTestClient.Address = .loopback, port: Int, within limit: Duration
        ) throws -> Bool {
            try self.send(payload, to: address, port: port)
            guard let answer = try self.receive(within: limit) else { return false }
            return answer.payload == payload && answer.port == port
        }
    }

    private static func client(_ proxy: Int, host: String = "127.0.0.1", namesPort: Bool = false) async throws -> Client
    {
        let socket = try DatagramSocket(host)
        let answer = try await SOCKSTestClient.associate(host: host, proxy: proxy, port: namesPort ? socket.port : 0)
        try #require(answer.reply == 0)
        #expect(answer.relay.address == (host == "::1" ? [UInt8](repeating: 0, count: 15) + [1] : [127, 0, 0, 1]))
        return Client(socket: socket, connection: answer.connection, relay: answer.relay.port, host: host)
    }

    /// One byte comes back.
    private static func expectEcho(_ client: Client, port: Int) async throws {
        let isEchoed = try await onThread { try client.isEchoed([1], port: port, within: .seconds(10)) }
        #expect(isEchoed)
    }

    private static func payload(_ size: Int) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
    }

    @Test(arguments: SignalScheme.allCases, ["auto", "direct", "bridge"])
    func `payloads up to 4096 bytes come back whole, larger ones are dropped`(
        scheme: SignalScheme, mode: String
    ) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress", options: ["--p2p", mode])
        let socks = try await cluster.socks(options: ["--p2p", mode])
        let echo = try UDPEchoService()
        let client = try await Self.client(socks.port)
        try await onThread {
            // The first one needs no measured path.
            for size in [1200, 0, 1, 512, 1232, 1280, 1400, 1452, 2000, 4000, 4095, 4096] {
                let payload = Self.payload(size)
                #expect(try client.isEchoed(payload, port: echo.port, within: .seconds(10)), "\(size) bytes")
            }
            for size in [4097, 9000, 60_000] { try client.send(Self.payload(size), port: echo.port) }
            #expect(try client.isEchoed([1], port: echo.port, within: .seconds(10)))
        }
        _ = try await socks.program.logLine("the dropped datagrams") {
            $0.contains("event=udp.dropped") && $0.contains("reason=oversize")
        }
        let statistics = try await Cluster.statistics(of: agent.program, event: "udp.stats")
        #expect(statistics["packets_in"] == "13" && statistics["packets_out"] == "13", "\(statistics)")
        #expect(statistics["associations"] == "1" && statistics["flows"] == "1", "\(statistics)")
        #expect(!statistics.keys.contains { $0.hasPrefix("dropped_") }, "\(statistics)")
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `targets are reached by IPv4, IPv6 and name, over one association`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let four = try UDPEchoService()
        let six = try UDPEchoService("::1")
        let client = try await Self.client(socks.port)
        try await onThread {
            for (address, port) in [
                (SOCKSTestClient.Address.loopback, four.port), (.loopback6, six.port), (.name("localhost"), four.port),
                (.name("127.0.0.1"), four.port),
                // IPv4-mapped.
                (.ipv6([UInt8](repeating: 0, count: 10) + [255, 255, 127, 0, 0, 1]), four.port),
            ] {
                #expect(try client.isEchoed([7, 8], by: address, port: port, within: .seconds(10)), "\(address)")
            }
            // What has no address is lost, and nothing else is.
            try client.send([1], to: .name("no-such-host.invalid"), port: four.port)
            #expect(try client.isEchoed([9], port: four.port, within: .seconds(10)))
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `one address stands for the client everywhere, and everybody may answer to it`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let client = try await Self.client(socks.port)
        try await onThread {
            let targets = try (0..<3).map { _ in try DatagramSocket() }
            var seen: Set<Int> = []
            for target in targets.dropLast() {
                try client.send([1], port: target.port)
                seen.insert(try #require(try target.receiveWithSource()).port)
            }
            #expect(seen.count == 1, "the mapping depends on the target")
            let mapped = try #require(seen.first)
            // It has never been asked.
            try targets[2].send([5], port: mapped)
            let answer = try #require(try client.receive())
            #expect(answer.payload == [5])
            #expect(answer.port == targets[2].port)
        }
        // Another association is another client to the world.
        let other = try await Self.client(socks.port)
        try await onThread {
            let target = try DatagramSocket()
            try client.send([1], port: target.port)
            let first = try #require(try target.receiveWithSource()).port
            try other.send([1], port: target.port)
            #expect(try #require(try target.receiveWithSource()).port != first)
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `only the client is heard, from its first port or the one that it has named`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try UDPEchoService()
        for namesPort in [false, true] {
            let client = try await Self.client(socks.port, namesPort: namesPort)
            try await onThread {
                let stranger = try DatagramSocket()
                let datagram = SOCKSTestClient.datagram(.loopback, port: echo.port, [6])
                if namesPort {
                    try stranger.send(datagram, port: client.relay)
                    #expect(try stranger.receive(within: .milliseconds(500)) == nil)
                }
                #expect(try client.isEchoed([1], port: echo.port, within: .seconds(10)))
                try stranger.send(datagram, port: client.relay)
                let elsewhere = try DatagramSocket("127.0.0.2")
                try elsewhere.send(datagram, port: client.relay)
                #expect(try stranger.receive(within: .milliseconds(500)) == nil)
                #expect(try elsewhere.receive(within: .milliseconds(100)) == nil)
                // Nor does the client get what it has not asked for.
                #expect(try client.isEchoed([2], port: echo.port, within: .seconds(10)))
            }
        }
        _ = try await socks.program.logLine("the strangers' datagrams") {
            $0.contains("event=udp.dropped") && $0.contains("reason=foreign")
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `fragments and what is malformed are dropped and told, and everything else goes on`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try UDPEchoService()
        let client = try await Self.client(socks.port)
        try await onThread {
            // Nothing of it settles the client's port.
            let stranger = try DatagramSocket()
            try stranger.send([], port: client.relay)
            try stranger.send([0, 0, 0, 9, 1], port: client.relay)
            for fragment in [1, 0x81] as [UInt8] {
                try client.socket.send(
                    SOCKSTestClient.datagram(.loopback, port: echo.port, [1], fragment: fragment), port: client.relay)
            }
            try client.socket.send([0, 0, 0, 3, 255, 1], port: client.relay)
            try client.send([1], port: 0)
            #expect(try client.isEchoed([2], port: echo.port, within: .seconds(10)))
        }
        for reason in ["fragment", "malformed"] {
            _ = try await socks.program.logLine("dropped: \(reason)") {
                $0.contains("event=udp.dropped") && $0.contains("reason=\(reason)")
            }
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `the agent's policy holds for every target, and for the addresses of names`() async throws {
        let cluster = try await Cluster(.quic)
        let allowed = try UDPEchoService()
        let agent = try await cluster.agent(
            "egress", options: ["--allow", "127.0.0.1/32:\(allowed.port)", "--deny", "0.0.0.0/0", "--deny", "::/0"])
        let socks = try await cluster.socks()
        let client = try await Self.client(socks.port)
        try await onThread {
            let denied = try DatagramSocket()
            let denied6 = try DatagramSocket("::1")
            try client.send([1], port: denied.port)
            try client.send([1], to: .loopback6, port: denied6.port)
            try client.send([1], to: .name("localhost"), port: denied.port)
            let mapped = [UInt8](repeating: 0, count: 10) + [255, 255, 127, 0, 0, 1]
            try client.send([1], to: .ipv6(mapped), port: denied.port)
            try client.send([1], to: .ipv4([0, 0, 0, 0]), port: denied.port)
            try client.send([1], to: .ipv4([224, 0, 0, 251]), port: allowed.port)
            try client.send([1], to: .ipv4([255, 255, 255, 255]), port: allowed.port)
            #expect(try denied.receive(within: .seconds(1)) == nil)
            #expect(try denied6.receive(within: .milliseconds(100)) == nil)
            #expect(try client.isEchoed([2], port: allowed.port, within: .seconds(10)))
            #expect(try client.isEchoed([3], by: .name("localhost"), port: allowed.port, within: .seconds(10)))
        }
        _ = try await agent.program.logLine("the refusal") {
            $0.contains("event=flow.refused") && $0.contains("reason=policy")
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `an association ends with its connection, at both ends`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try UDPEchoService()
        let relay: Int
        do {
            let client = try await Self.client(socks.port)
            relay = client.relay
            try await Self.expectEcho(client, port: echo.port)
        }
        _ = try await agent.program.logLine("the end") {
            $0.contains("event=flow.closed") && $0.contains("association=")
        }
        _ = try await socks.program.logLine("the end") {
            $0.contains("event=flow.closed") && $0.contains("association=") && $0.contains("received=1")
        }
        // The relay's port is free again.
        try await eventually(within: .seconds(5), "the port \(relay) is free") {
            (try? DatagramSocket(port: relay)) != nil
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `when the agent goes, the association moves to the next one`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let first = try await cluster.agent("first")
        let socks = try await cluster.socks()
        let echo = try UDPEchoService()
        let client = try await Self.client(socks.port)
        try await Self.expectEcho(client, port: echo.port)
        let second = try await cluster.agent("second")
        await first.program.kill9()
        try await eventually(within: .seconds(20), "datagrams go by the second agent") {
            try await onThread { try client.isEchoed([2], port: echo.port, within: .milliseconds(300)) }
        }
        _ = try await socks.program.logLine("the move") { $0.contains("UDP association moved") }
        // With nobody left it ends, and so does its connection.
        await second.program.stop()
        let end = ContinuousClock.now
        try await onThread { _ = try client.connection.receiveToEnd() }
        #expect(ContinuousClock.now - end < .seconds(20))
        await stopAll([cluster.server, socks.program])
    }

    @Test func `a client over IPv6 has its relay there`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let program = try cluster.launchSocks(options: ["--listen", "[::]:0"])
        let ready = try await program.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
        let port = try #require(ready.split(separator: ":").last.flatMap { Int($0) })
        let echo = try UDPEchoService()
        for host in ["::1", "127.0.0.1"] {
            let client = try await Self.client(port, host: host)
            try await Self.expectEcho(client, port: echo.port)
        }
        await stopAll([cluster.server, agent.program, program])
    }

    @Test func `many associations at once get their own answers`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try UDPEchoService()
        var clients: [Client] = []
        for _ in 0..<200 { clients.append(try await Self.client(socks.port)) }
        try await onThread { [clients] in
            for round in 0..<3 as Range<UInt8> {
                for (number, client) in clients.enumerated() {
                    try client.send([round, UInt8(number)], port: echo.port)
                }
                for (number, client) in clients.enumerated() {
                    #expect(try client.receive()?.payload == [round, UInt8(number)])
                }
            }
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `an agent at its limit of flows ends idle sockets for new ones`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress", options: ["--max-flows", "4"])
        let socks = try await cluster.socks()
        let echo = try UDPEchoService()
        var clients: [Client] = []
        for _ in 0..<8 { clients.append(try await Self.client(socks.port)) }
        for client in clients {
            try await eventually(within: .seconds(10), "a socket for another one") {
                try await onThread { try client.isEchoed([1], port: echo.port, within: .milliseconds(300)) }
            }
        }
        // Those whose sockets went have not ended.
        try await eventually(within: .seconds(10), "the first one again") { [clients] in
            try await onThread { try clients[0].isEchoed([2], port: echo.port, within: .milliseconds(300)) }
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }
}
