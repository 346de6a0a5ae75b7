import Crypto
import Foundation
import Synchronization
import TestSupport
import Testing

/// `tcp://` rules of `rtun-relay`: connections to a local port come out at the rule's target, with all that TCP promises.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct TCPRuleTests {
    private struct Programs {
        let cluster: Cluster
        let agent: RunningProgram
        let relay: Cluster.Relay

        /// A relay whose rules lead to `services`, one each.
        init(_ services: [TCPService], scheme: SignalScheme = .quic, mode: String = "auto") async throws {
            self.cluster = try await Cluster(scheme)
            self.agent = try await self.cluster.agent("egress", options: ["--p2p", mode]).program
            self.relay = try await self.cluster.relay(
                services.map { TCPRuleTests.rule(to: $0) }, options: ["--p2p", mode])
        }

        func stop() async { await stopAll([self.cluster.server, self.agent, self.relay.program]) }
    }

    private static func rule(to service: TCPService) -> String { "tcp://127.0.0.1:0?to=127.0.0.1:\(service.port)" }

    private static func connect(to port: Int) throws -> BlockingSocket {
        try BlockingSocket(connectingTo: "127.0.0.1", port: port)
    }

    /// Sends `greeting`, gets `greeting` back.
    private static func expectEcho(_ port: Int, host: String = "127.0.0.1", _ greeting: String = "hello") async throws {
        try await onThread {
            let connection = try BlockingSocket(connectingTo: host, port: port)
            try connection.send(greeting)
            #expect(try connection.receive(exactly: greeting.utf8.count) == Array(greeting.utf8))
        }
    }

    @Test(arguments: SignalScheme.allCases, ResetTests.modes)
    func `bytes, ends and resets pass in every mode`(scheme: SignalScheme, mode: String) async throws {
        let echo = try TCPService.echo()
        // Answers once the client's end has come.
        let answering = try TCPService { connection in
            let request = try connection.receiveToEnd()
            for _ in 0..<4 { try connection.send(request) }
        }
        let resetting = try TCPService { connection in
            let bytes = try connection.receive(exactly: 1000)
            try connection.send(bytes)
            try connection.waitUntilDelivered()
            connection.reset()
        }
        let (failures, ended) = AsyncStream.makeStream(of: SocketFailure?.self)
        let watching = try TCPService { connection in
            try connection.send("!")
            ended.yield(connection.receiveToFailure().failure)
        }
        let programs = try await Programs([echo, answering, resetting, watching], scheme: scheme, mode: mode)
        let ports = programs.relay.ports
        let megabyte = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        try await onThread {
            let connection = try Self.connect(to: ports[0])
            Thread {
                try? connection.send(megabyte); connection.shutdownSending()
            }.start()
            #expect(SHA256.hash(try connection.receiveToEnd()) == SHA256.hash(megabyte))

            let half = try Self.connect(to: ports[1])
            try half.send(megabyte)
            half.shutdownSending()
            #expect(try half.receiveToEnd().count == 4 * megabyte.count)

            // What came before the reset comes before it here, too.
            let reset = try Self.connect(to: ports[2])
            try reset.send([UInt8](repeating: 1, count: 1000))
            let (count, failure) = reset.receiveToFailure()
            #expect(count == 1000)
            #expect(failure?.isReset == true)

            let resetting = try Self.connect(to: ports[3])
            _ = try resetting.receive(exactly: 1)
            resetting.reset()
        }
        let failure = try await within(.seconds(10), "the reset at the target") {
            for await failure in failures { return failure }
            return nil
        }
        #expect(failure?.isReset == true)
        await programs.stop()
    }

    @Test func `rules of both kinds mix, on one port too, in all address families`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress").program
        let (four, six, datagrams) = (try TCPService.echo(), try TCPService.echo(host: "::1"), try UDPEchoService())
        let port = try FreePort.next()
        let relay = try await cluster.relay([
            "udp://127.0.0.1:\(port)?to=127.0.0.1:\(datagrams.port)",
            "tcp://127.0.0.1:\(port)?to=127.0.0.1:\(four.port)",
            "tcp://[::1]:\(port)?to=[::1]:\(six.port)", "tcp://0.0.0.0:0?to=[::1]:\(six.port)",
            "tcp://[::]:0?to=127.0.0.1:\(four.port)",
        ])
        let line = try #require(relay.program.output.lines.first)
        #expect(
            line == """
                rtun-relay ready udp=127.0.0.1:\(port) tcp=127.0.0.1:\(port) tcp=[::1]:\(port) \
                tcp=0.0.0.0:\(relay.ports[3]) tcp=[::]:\(relay.ports[4])
                """)
        try await Self.expectEcho(port)
        try await Self.expectEcho(port, host: "::1")
        try await Self.expectEcho(relay.ports[3])
        try await Self.expectEcho(relay.ports[4], host: "::1")
        try await onThread {
            let socket = try DatagramSocket(connectedTo: port)
            try socket.send([1])
            #expect(try socket.receive() == [1])
        }
        // Of each kind those that others can reach are told of, and no others.
        let open = relay.program.errors.lines.filter { $0.contains("everybody who can reach this address") }
        #expect(open.count == 2 && open.allSatisfy { $0.contains(" warn ") && $0.contains("tcp=") }, "\(open)")
        await stopAll([cluster.server, agent, relay.program])
    }

    @Test func `a client that cannot be connected is reset at once, and the log says why`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress", options: ["--deny", "127.0.0.2"]).program
        let (closed, holder) = try TCPService.closedPort()
        let relay = try await cluster.relay(
            ["tcp://127.0.0.1:0?to=127.0.0.1:\(closed)", "tcp://127.0.0.1:0?to=127.0.0.2:22"])
        for (index, reason) in ["refused", "policy"].enumerated() {
            try await onThread {
                for _ in 0..<20 {
                    let connection = try Self.connect(to: relay.ports[index])
                    let (count, failure) = connection.receiveToFailure()
                    #expect(count == 0)
                    #expect(failure?.isReset == true)
                }
            }
            // Twenty, and one line.
            let lines = relay.program.errors.lines.filter {
                $0.contains(" info no connection to the target") && $0.contains("event=flow.failed")
                    && $0.contains("reason=\(reason)") && $0.contains("client=127.0.0.1:")
            }
            #expect(lines.count == 1, "\(lines)")
            let statistics = try await Cluster.statistics(of: relay.program, ":\(relay.ports[index])")
            #expect(statistics["ended_\(reason)"] == "20")
            #expect(statistics["flows"] == "0")
        }
        withExtendedLifetime(holder) {}
        await stopAll([cluster.server, agent, relay.program])
    }

    @Test func `clients wait for an agent for ten seconds, and are reset then`() async throws {
        let cluster = try await Cluster(.https)
        let echo = try TCPService.echo()
        let relay = try await cluster.relay([Self.rule(to: echo)], connected: false)
        let clock = ContinuousClock()
        let started = clock.now
        // A client that has said all and waits for the answer counts as one that is there.
        let ended = try Self.connect(to: relay.port)
        try ended.send("early")
        ended.shutdownSending()
        let failure = try await onThread { ended.receiveToFailure().failure }
        #expect(failure?.isReset == true)
        #expect(.seconds(9)...(.seconds(13)) ~= clock.now - started)
        _ = try await relay.program.logLine("why") {
            $0.contains("event=flow.failed") && $0.contains("reason=no_agent")
        }

        let early = try Self.connect(to: relay.port)
        try early.send("early")
        early.shutdownSending()
        let agent = try await cluster.agent("egress").program
        #expect(try await onThread { try early.receiveToEnd() } == Array("early".utf8))
        await stopAll([cluster.server, agent, relay.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `new connections use the next agent when theirs has gone`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let first = try await cluster.agent("first").program
        let echo = try TCPService.echo()
        let relay = try await cluster.relay([Self.rule(to: echo)])
        try await Self.expectEcho(relay.port)
        let second = try await cluster.agent("second").program
        await first.kill9()
        try await Self.expectEcho(relay.port)
        let statistics = try await Cluster.statistics(of: relay.program)
        #expect(statistics["agent"] == "second")
        #expect(statistics["flows_opened"] == "2")
        #expect(statistics["bytes_in"] == "10")
        #expect(statistics["bytes_out"] == "10")
        await stopAll([cluster.server, second, relay.program])
    }

    @Test func `an agent that stops lets connections finish while new ones go to the next`() async throws {
        let cluster = try await Cluster(.quic)
        let first = try await cluster.agent("first").program
        let echo = try TCPService.echo()
        let relay = try await cluster.relay([Self.rule(to: echo)])
        let open = try Self.connect(to: relay.port)
        try await onThread {
            try open.send("a")
            _ = try open.receive(exactly: 1)
        }
        let second = try await cluster.agent("second").program
        first.signal(SIGTERM)
        _ = try await relay.program.logLine("the next agent") {
            $0.contains("event=agent.selected") && $0.contains("agent=second")
        }
        try await Self.expectEcho(relay.port)
        try await onThread {
            try open.send("b")
            #expect(try open.receive(exactly: 1) == Array("b".utf8))
        }
        await stopAll([cluster.server, first, second, relay.program])
    }

    @Test func `more connections than --max-flows wait until others have ended`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress").program
        let echo = try TCPService.echo()
        let relay = try await cluster.relay([Self.rule(to: echo)], options: ["--max-flows", "2"])
        let open = try (0..<2).map { _ in try Self.connect(to: relay.port) }
        try await onThread {
            for connection in open {
                try connection.send("x")
                _ = try connection.receive(exactly: 1)
            }
        }
        // The first beyond the limit may come with the batch of those before it.
        let waiting = try (0..<4).map { _ in try Self.connect(to: relay.port) }
        for connection in waiting { try connection.send("y") }
        _ = try await relay.program.logLine("that they wait") { $0.contains("too many connections") }
        let statistics = try await Cluster.statistics(of: relay.program)
        #expect((Int(statistics["flows"] ?? "") ?? 0) < 6)
        try await onThread {
            for connection in open { connection.reset() }
            for connection in waiting {
                let answer = try connection.receive(exactly: 1)
                #expect(answer == Array("y".utf8))
                connection.reset()
            }
        }
        await stopAll([cluster.server, agent, relay.program])
    }

    @Test func `a slow reader of one rule holds up neither others nor memory`() async throws {
        let taken = Mutex(0)
        let firehose = try TCPService { connection in
            let chunk = [UInt8](repeating: 1, count: 1 << 16)
            while true {
                try connection.send(chunk)
                taken.withLock { $0 += chunk.count }
            }
        }
        let echo = try TCPService.echo()
        let programs = try await Programs([firehose, echo])
        let stalled = try (0..<10).map { _ in try Self.connect(to: programs.relay.port) }
        try await eventually(within: .seconds(15), "the stalled streams standing still") {
            let before = taken.withLock { $0 }
            try await ContinuousClock().sleep(for: .milliseconds(700))
            return before > 0 && taken.withLock { $0 } == before
        }
        try await Self.expectEcho(programs.relay.ports[1], String(repeating: "z", count: 100_000))
        #expect(try programs.relay.program.residentBytes().peak < 100_000_000)
        withExtendedLifetime(stalled) {}
        await programs.stop()
    }

    @Test func `a relay that stops lets connections finish and takes no new ones`() async throws {
        let echo = try TCPService.echo()
        let programs = try await Programs([echo])
        let open = try Self.connect(to: programs.relay.port)
        try await onThread {
            try open.send("a")
            _ = try open.receive(exactly: 1)
        }
        programs.relay.program.signal(SIGTERM)
        try await eventually(within: .seconds(5), "the end of the local port") {
            (try? Self.connect(to: programs.relay.port)) == nil
        }
        try await onThread {
            try open.send("b")
            #expect(try open.receive(exactly: 1) == Array("b".utf8))
            open.shutdownSending()
            #expect(try open.receiveToEnd().isEmpty)
        }
        #expect(try await programs.relay.program.end(within: .seconds(4)) == .exit(0))
        await programs.stop()
    }

    @Test func `a port that is taken ends the relay with 69 and says which`() async throws {
        let cluster = try await Cluster(.https)
        let taken = try TCPService.echo()
        let relay = try cluster.launchRelay([
            "127.0.0.1:0?to=127.0.0.1:9", "tcp://127.0.0.1:\(taken.port)?to=127.0.0.1:9",
        ])
        #expect(try await relay.end() == .exit(69))
        #expect(relay.errors.text.contains("cannot listen on 127.0.0.1:\(taken.port): address already in use"))
        await cluster.server.stop()
    }
}
