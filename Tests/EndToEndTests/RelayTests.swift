import AppProto
import Foundation
import Logging
import NIOPosix
import Signaling
import TestSupport
import Testing

/// `rtun-relay` with real programs on both sides: what passes, what does not, and for how long.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct RelayTests {
    @Test(arguments: SignalScheme.allCases)
    func `a DNS server is asked through two rules, and answers every query at 2000 a second`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let names = try await DNSServer()
        let relay = try await cluster.relay([
            "udp://127.0.0.1:0?to=127.0.0.1:\(names.port)", "127.0.0.1:0?to=127.0.0.1:\(names.port)",
        ])
        for port in relay.ports {
            let answer = try await ShellCommand.run(
                "dig +short +tries=1 @127.0.0.1 -p \(port) host7.rtun.test A")
            #expect(answer == "192.0.2.7")
        }
        let queries = try cluster.folder.write(
            "queries", (0..<100).map { "host\($0).rtun.test A\n" }.joined())
        let report = try await ShellCommand.run(
            "dnsperf -s 127.0.0.1 -p \(relay.port) -d '\(queries)' -l 12 -Q 2000 -t 5", within: .seconds(40))
        let sent = try #require(Self.number(in: report, after: "Queries sent:"))
        #expect(sent > 20_000)
        #expect(Self.number(in: report, after: "Queries completed:") == sent, "\(report)")
        withExtendedLifetime(names) {}
        await stopAll([cluster.server, agent.program, relay.program])
    }

    private static func number(in text: String, after key: String) -> Int? {
        for line in text.split(separator: "\n") where line.contains(key) {
            return line.split(separator: ":").last.flatMap { rest in
                Int(rest.drop(while: { $0 == " " }).prefix(while: \.isNumber))
            }
        }
        return nil
    }

    @Test(arguments: SignalScheme.allCases)
    func `HTTP over QUIC carries 200 MB unchanged`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let folder = cluster.folder
        try await ShellCommand.run(
            "mkdir '\(folder.file("www"))' '\(folder.file("out"))' && head -c 200000000 /dev/urandom > '\(folder.file("www/file"))'"
        )
        let port = try FreePort.next()
        let server = try RunningProgram(
            "/usr/sbin/gtlsserver",
            [
                "-q", "-d", folder.file("www"), "127.0.0.1", "\(port)", cluster.certificates.key,
                cluster.certificates.certificate,
            ])
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(port)"])
        // The client's search for the path's MTU sends datagrams beyond the limit; they are dropped, and it goes on.
        try await ShellCommand.run(
            """
            gtlsclient -q --download='\(folder.file("out"))' --exit-on-all-streams-close \
                127.0.0.1 \(relay.port) https://localhost:\(relay.port)/file
            cmp '\(folder.file("out/file"))' '\(folder.file("www/file"))'
            """, within: .seconds(120))
        let statistics = try await Cluster.statistics(of: relay.program)
        #expect(statistics["limit"] == "1409")
        #expect((Int(statistics["bytes_in"] ?? "") ?? 0) > 200_000_000)
        #expect((Int(statistics["dropped_oversize"] ?? "") ?? 0) > 0)
        await stopAll([cluster.server, agent.program, relay.program, server])
    }

    /// Whatever a path is used as, it is measured: with `--p2p direct` it is in use before it is confirmed.
    @Test(arguments: SignalScheme.allCases, ["auto", "direct", "bridge"])
    func `payloads at the limit pass in every mode, from the first datagram on or after a pause`(
        scheme: SignalScheme, mode: String
    ) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress", options: ["--p2p", mode])
        let echo = try UDPEchoService()
        let relays = [
            try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"], options: ["--p2p", mode]),
            try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"], options: ["--p2p", mode]),
        ]
        for (index, relay) in relays.enumerated() {
            if index == 1 { try await ContinuousClock().sleep(for: .seconds(3)) }
            try await eventually(within: .seconds(10), "1200 and 1409 bytes, there and back") {
                try await onThread {
                    let socket = try DatagramSocket("127.0.0.1", connectedTo: relay.port)
                    return [1200, 1409].allSatisfy { length in
                        let payload = [UInt8](repeating: UInt8(truncatingIfNeeded: length), count: length)
                        try? socket.send(payload)
                        return (try? socket.receive(within: .milliseconds(500))) == payload
                    }
                }
            }
            #expect(try await Cluster.statistics(of: relay.program)["limit"] == "1409")
        }
        await stopAll([cluster.server, agent.program] + relays.map(\.program))
    }

    @Test(arguments: SignalScheme.allCases)
    func `payloads up to the limit pass whole, larger ones are dropped and logged, in all address families`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let (four, six) = (try UDPEchoService(), try UDPEchoService("::1"))
        let relay = try await cluster.relay([
            "127.0.0.1:0?to=127.0.0.1:\(four.port)", "127.0.0.1:0?to=[::1]:\(six.port)",
            "[::1]:0?to=127.0.0.1:\(four.port)", "[::1]:0?to=[::1]:\(six.port)",
        ])
        for (index, port) in relay.ports.enumerated() {
            try await onThread {
                let socket = try DatagramSocket(index < 2 ? "127.0.0.1" : "::1", connectedTo: port)
                for length in [0, 1, 64, 1200, 1408, 1409, 1410, 1452, 4000, 60_000] {
                    let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ length) }
                    try socket.send(payload)
                    if length <= 1409 {
                        let answer = try socket.receive()
                        #expect(answer == payload, "\(length) bytes through rule \(index)")
                    }
                }
                // What was dropped has not been answered.
                try socket.send([7])
                let answer = try socket.receive()
                #expect(answer == [7])
            }
            _ = try await relay.program.logLine("the dropped datagrams") {
                $0.contains("event=udp.dropped") && $0.contains("reason=oversize") && $0.contains("limit=1409")
                    && $0.hasSuffix(":\(port)")
            }
        }
        await stopAll([cluster.server, agent.program, relay.program])
    }

    @Test func `a rule on all addresses answers from the address that was asked`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay([
            "0.0.0.0:0?to=127.0.0.1:\(echo.port)", "[::]:0?to=127.0.0.1:\(echo.port)",
        ])
        try await onThread {
            // A connected socket hears nobody but whom it has asked; left to itself, the kernel answers from 127.0.0.1.
            for (host, port) in [("127.0.0.9", relay.ports[0]), ("127.0.0.1", relay.ports[0]), ("::1", relay.ports[1])]
            {
                let socket = try DatagramSocket(host, connectedTo: port)
                for length in [1, 1200, 1200, 5] {
                    try socket.send([UInt8](repeating: 3, count: length))
                    #expect(try socket.receive() == [UInt8](repeating: 3, count: length), "\(host)")
                }
            }
        }
        await stopAll([cluster.server, agent.program, relay.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `two thousand senders at once get their own answers`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        try await onThread {
            let sockets = try (0..<2000).map { _ in try DatagramSocket(connectedTo: relay.port) }
            for round in 0..<3 {
                for (number, socket) in sockets.enumerated() {
                    try socket.send(Array("\(round) \(number)".utf8))
                    // Ahead of the reader by no more than the buffers hold.
                    if number >= 50 { try Self.expect(round, number - 50, on: sockets[number - 50]) }
                }
                for number in sockets.indices.suffix(50) { try Self.expect(round, number, on: sockets[number]) }
            }
        }
        #expect(try await Cluster.statistics(of: relay.program)["flows"] == "2000")
        #expect(try await Cluster.statistics(of: agent.program)["flows"] == "2000")
        await stopAll([cluster.server, agent.program, relay.program])
    }

    private static func expect(_ round: Int, _ number: Int, on socket: DatagramSocket) throws {
        let answer = try socket.receive()
        #expect(answer == Array("\(round) \(number)".utf8))
    }

    @Test func `idle flows vanish at both ends, and a later datagram opens new ones`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:\(echo.port)"], options: ["--udp-idle-timeout", "3s"])
        let sockets = try (0..<20).map { _ in try DatagramSocket(connectedTo: relay.port) }
        let exchange: @Sendable () throws -> Void = {
            for socket in sockets { try socket.send([1]) }
            for socket in sockets { #expect(try socket.receive() == [1]) }
        }
        try await onThread(exchange)
        for program in [relay.program, agent.program] {
            #expect(try await Cluster.statistics(of: program)["flows_opened"] == "20")
        }
        for program in [relay.program, agent.program] {
            try await eventually(within: .seconds(15), "the end of idle flows of \(program.name)") {
                try await Cluster.statistics(of: program)["flows"] == "0"
            }
        }
        try await onThread(exchange)
        #expect(try await Cluster.statistics(of: relay.program)["flows_opened"] == "40")
        await stopAll([cluster.server, agent.program, relay.program])
    }

    @Test func `a flood from new ports stays within the limit of flows, and existing flows go on`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(
            ["127.0.0.1:0?to=127.0.0.1:\(echo.port)"], options: ["--max-flows", "500"])
        let early = try DatagramSocket(connectedTo: relay.port)
        try await onThread {
            try early.send([9])
            #expect(try early.receive() == [9])
        }
        let before = try relay.program.residentBytes().now
        try await onThread {
            for _ in 0..<20 {
                // 20 000 ports in all: each is used once and given back.
                let sockets = try (0..<1000).map { _ in try DatagramSocket(connectedTo: relay.port) }
                for socket in sockets { try socket.send([UInt8](repeating: 1, count: 1000)) }
                try early.send([8])
                let answer = try early.receive()
                #expect(answer == [8])
            }
        }
        let statistics = try await Cluster.statistics(of: relay.program)
        #expect(statistics["flows"] == "500")
        let dropped = ["dropped_flow_limit", "dropped_flow_rate"].compactMap { statistics[$0].flatMap(Int.init) }
        #expect(dropped.reduce(0, +) > 5000)
        #expect(try relay.program.residentBytes().now - before < 20 << 20)
        let lines = relay.program.errors.lines.filter { $0.contains("reason=flow_limit") }
        #expect((1...2).contains(lines.count))
        await stopAll([cluster.server, agent.program, relay.program])
    }

    @Test func `the agent has a limit of flows of its own, and its policy applies to datagrams`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress", options: ["--max-flows", "3", "--deny", "127.0.0.2"])
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        try await onThread {
            let sockets = try (0..<5).map { _ in try DatagramSocket(connectedTo: relay.port) }
            for (index, socket) in sockets.enumerated() {
                try socket.send([1])
                #expect(
                    try socket.receive(within: index < 3 ? .seconds(10) : .milliseconds(300)) == (index < 3 ? [1] : nil)
                )
            }
        }
        try await eventually(within: .seconds(10), "the agent's count of flows beyond its limit") {
            try await Cluster.statistics(of: agent.program)["dropped_flow_limit"] == "2"
        }
        try await onThread {
            // Those with an answer make room once they have been idle for 2 s.
            let later = try DatagramSocket(connectedTo: relay.port)
            #expect(try later.answer(to: [2], within: .seconds(10)) == [2])
        }
        try await eventually(within: .seconds(10), "the relay's end of these flows") {
            try await Cluster.statistics(of: relay.program)["flows"] == "3"
        }
        let refused = try await cluster.relay(["127.0.0.1:0?to=127.0.0.2:53"], connected: false)
        _ = try await refused.program.logLine("the refusal") {
            $0.contains("the agent's policy refuses 127.0.0.2:53")
        }
        await stopAll([cluster.server, agent.program, relay.program, refused.program])
    }

    @Test func `a relay that has taken all flows of an agent leaves another one its share at once`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress", options: ["--max-flows", "100"])
        let echo = try UDPEchoService()
        let rule = "127.0.0.1:0?to=127.0.0.1:\(echo.port)"
        let greedy = try await cluster.relay([rule])
        let modest = try await cluster.relay([rule])
        try await onThread {
            // All of them in use, with answers.
            let many = try (0..<100).map { _ in try DatagramSocket(connectedTo: greedy.port) }
            for socket in many {
                try socket.send([1])
                #expect(try socket.receive() == [1])
            }
            // Held like those, too: the port of a closed socket may be the next one's, which would be the same flow.
            let few = try (0..<50).map { _ in try DatagramSocket(connectedTo: modest.port) }
            for socket in few {
                try socket.send([2])
                #expect(try socket.receive(within: .seconds(2)) == [2])
            }
        }
        #expect(try await Cluster.statistics(of: modest.program)["flows"] == "50")
        // The word that the last of them is over may still be on its way.
        try await eventually(within: .seconds(5), "the loss of 50 flows") {
            try await Cluster.statistics(of: greedy.program)["flows"] == "50"
        }
        await stopAll([cluster.server, agent.program, greedy.program, modest.program])
    }

    @Test func `a rule that leads back to itself is limited to a rate, and logged`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let port = try FreePort.next()
        let relay = try await cluster.relay(
            ["127.0.0.1:\(port)?to=127.0.0.1:\(port)", "127.0.0.1:0?to=127.0.0.1:\(echo.port)"],
            options: ["--max-flows", "1000"])
        let started = ContinuousClock.now
        try await onThread {
            let sender = try DatagramSocket(connectedTo: port)
            try sender.send([1])
        }
        // On a machine that makes less than the rate, the limit of flows tells.
        _ = try await relay.program.logLine("what is wrong") {
            $0.contains("reason=flow_rate") || $0.contains("reason=flow_limit") || $0.contains("event=flow.evicted")
        }
        let opened = try await self.flowsOpened(relay.program, port: port)
        let seconds = (ContinuousClock.now - started) / .seconds(1)
        #expect(Double(opened) <= 1500 + 5500 * seconds)
        try await onThread {
            let sender = try DatagramSocket(connectedTo: relay.ports[1])
            try sender.send([2])
            #expect(try sender.receive() == [2])
        }
        await stopAll([cluster.server, agent.program, relay.program])
    }

    private func flowsOpened(_ relay: RunningProgram, port: Int) async throws -> Int {
        let statistics = try await Cluster.statistics(of: relay, "udp=127.0.0.1:\(port)")
        return try #require(statistics["flows_opened"].flatMap { Int($0) })
    }

    @Test func `a missing target is only counted, and answers once it is there`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let port = try FreePort.next()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(port)"])
        let socket = try DatagramSocket(connectedTo: relay.port)
        try await onThread {
            for _ in 0..<10 {
                try socket.send([1])
                #expect(try socket.receive(within: .milliseconds(50)) == nil)
            }
        }
        let statistics = try await Cluster.statistics(of: agent.program)
        #expect((Int(statistics["icmp_errors"] ?? "") ?? 0) > 0)
        #expect(statistics["flows_opened"] == "1")
        let echo = try UDPEchoService(port: port)
        try await onThread {
            try socket.send([2])
            #expect(try socket.receive() == [2])
        }
        withExtendedLifetime(echo) {}
        #expect(try await Cluster.statistics(of: agent.program)["flows_opened"] == "1")
        await stopAll([cluster.server, agent.program, relay.program])
    }

    @Test(.enabled(if: EgressNamespace.isAvailable, "needs root, to send from ports of others"))
    func `forged, cut, damaged and replayed records on the path change nothing but a counter`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"])
        let traffic = try SteadyTraffic(to: relay.port)
        try await traffic.untilAnswered()
        let known = (relay.program.errors.lines.count, agent.program.errors.lines.count)
        async let injected = ShellCommand.run("python3 '\(Interpreter.script("relay_injector.py"))' 2000 10")
        try await traffic.expectNothingLost(for: .seconds(4))
        let count = try #require(Int(try await injected))
        #expect(count >= 1000)
        var rejected = 0
        for program in [relay.program, agent.program] {
            let statistics = try await Cluster.statistics(of: program)
            rejected += Int(statistics["records_rejected"] ?? "") ?? 0
            #expect(statistics["flows_opened"] == "1")
            #expect(statistics["records_malformed"] == nil)
        }
        // Some have a first byte that is not DTLS's, or fewer bytes than that takes, and go elsewhere.
        #expect(rejected > count / 2, "\(rejected) of \(count)")
        let news = relay.program.errors.lines[known.0...] + agent.program.errors.lines[known.1...]
        #expect(!news.contains { $0.contains("event=peer.") || $0.contains("event=agent.") }, "\(news)")
        traffic.stop()
        await stopAll([cluster.server, agent.program, relay.program])
    }

    /// A relay on this machine with one rule, for a server that stands beside a namespace.
    private static func relay(
        to target: String, _ arguments: [String]
    ) async throws -> (program: RunningProgram, port: Int) {
        let program = try RunningProgram(
            "rtun-relay", ["-L", "127.0.0.1:0?to=\(target)", "--quic-insecure"] + arguments,
            environment: ["RTUN_SECRET": Cluster.secret])
        let ready = try await program.line("the ready line") { $0.hasPrefix("rtun-relay ready ") }
        return (program, try #require(ready.split(separator: ":").last.flatMap { Int($0) }))
    }

    @Test(.enabled(if: EgressNamespace.isAvailable, "needs root, to send ICMP messages"))
    func `ICMP errors of every kind leave a flow alone`() async throws {
        // Inside, since the kernel believes what such messages say of paths.
        let namespace = try await EgressNamespace()
        let (server, agent, _, url) = try await namespace.startServerAndAgent(.quic)
        let target = try namespace.launch(
            "/usr/bin/python3", [Interpreter.script("icmp_target.py")], environment: [:])
        let targetPort = try await target.line("the port", where: { !$0.isEmpty })
        let (relay, port) = try await Self.relay(to: "127.0.0.1:\(targetPort)", [url])
        try await onThread {
            let socket = try DatagramSocket(connectedTo: port)
            for number in 0..<50 {
                try socket.send([UInt8](repeating: UInt8(number), count: 1200))
                #expect(try socket.receive() == [UInt8](repeating: UInt8(number), count: 1200))
            }
        }
        let statistics = try await Cluster.statistics(of: agent)
        #expect(statistics["flows_opened"] == "1")
        #expect((Int(statistics["icmp_errors"] ?? "") ?? 0) >= 40)
        #expect(agent.isRunning)
        await stopAll([server, agent, relay, target])
    }

    @Test(.enabled(if: EgressNamespace.isAvailable, "needs root, to give the agent a network namespace"))
    func `the limit follows what the path carries, and a larger one that was asked for is warned about`() async throws {
        let namespace = try await EgressNamespace()
        try await namespace.setMTU(1300)
        let (server, agent, _, url) = try await namespace.startServerAndAgent(.quic)
        let echo = try UDPEchoService("0.0.0.0")
        let (relay, port) = try await Self.relay(
            to: "\(namespace.hostAddress):\(echo.port)", [url, "--udp-max-payload", "1400"])
        // 1300 bytes less IPv4 and UDP headers (28), the record (37) and the frame (6).
        _ = try await relay.logLine("the warning") { $0.contains("asked=1400") && $0.contains("limit=1229") }
        let socket = try DatagramSocket(connectedTo: port)
        let passes: @Sendable (Int) throws -> Bool = { length in
            let payload = [UInt8](repeating: 5, count: length)
            try socket.send(payload)
            return try socket.receive(within: .milliseconds(500)) == payload
        }
        try await eventually(within: .seconds(10), "an answer of 1229 bytes") {
            try await onThread { try passes(1229) }
        }
        #expect(try await onThread { try !passes(1230) })
        // The path gets better, which is noticed with the next check of it.
        try await namespace.setMTU(1500)
        try await eventually(within: .seconds(15), "the better path") {
            try await Cluster.statistics(of: relay)["limit"] == "1409"
        }
        // The answer has to get through as well, and the agent looks at the path in its own time.
        try await eventually(within: .seconds(15), "the better path for the answer") {
            try await onThread { try passes(1400) }
        }
        #expect(try await onThread { try !passes(1401) })
        await stopAll([server, agent, relay])
    }

    @Test(arguments: SignalScheme.allCases)
    func `the server refuses to bind a client to a missing instance`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let other = InstanceID.random()
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: cluster.url), role: .client,
            key: try SharedKey(secret: Array(Cluster.secret.utf8)), software: "test/1")
        configuration.certificateAuthorityFile = cluster.certificates.authority
        let client = try SignalClient(
            configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let connection = Task { await client.run() }
        try await eventually(within: .seconds(10), "the list of agents") {
            guard case .agentList(let list)? = try? await client.request(.listAgents()).get() else { return false }
            return list.agents.map(\.instanceID.rawValue) == [agent.instance]
        }
        let right = try await client.request(
            .bind(Bind(name: "egress", instanceID: InstanceID(rawValue: agent.instance)))
        ).get()
        guard case .bound(let bound) = right else {
            Issue.record("\(right)")
            return
        }
        #expect(bound.agent.name == "egress")
        do {
            let wrong = try await client.request(.bind(Bind(name: "egress", instanceID: other))).get()
            Issue.record("\(wrong)")
        } catch SignalError.failure(let failure) {
            #expect(failure.code == .instanceMismatch)
        }
        client.stop()
        _ = await connection.value
        await stopAll([cluster.server, agent.program])
    }

    @Test func `a wrong command line says what is wrong, where, and what would be right`() async throws {
        let url = "quic://127.0.0.1:1"
        let cases: [([String], String)] = [
            (["-L", "http://127.0.0.1:1?to=127.0.0.1:2"], "is not a protocol that can be forwarded"),
            (["-L", "127.0.0.1:1?to=localhost:2"], "takes an IP address only"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:0"], "nothing can be sent to port 0"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:2", "-L", "127.0.0.1:1?to=127.0.0.1:3"], "another rule listens there"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:2&x=1"], "is not a parameter of a rule"),
            (["-L", "127.0.0.1:1"], "the rule has no target"),
            ([], "no rule given"),
            (["-L", "127.0.0.1:0?to=127.0.0.1:2", "--udp-max-payload", "1410"], "largest possible value is 1409"),
            (["-L", "127.0.0.1:0?to=127.0.0.1:2", "--udp-idle-timeout", "soon"], "is not a length of time"),
        ]
        for (options, words) in cases {
            let program = try RunningProgram("rtun-relay", options + [url], environment: ["RTUN_SECRET": "x"])
            #expect(try await program.end() == .exit(64), "\(options)")
            #expect(program.errors.text.contains(words), "\(options): \(program.errors.text)")
            #expect(program.output.text.isEmpty)
        }
        let taken = try DatagramSocket()
        let program = try RunningProgram(
            "rtun-relay", ["-L", "127.0.0.1:\(taken.port)?to=127.0.0.1:2", url], environment: ["RTUN_SECRET": "x"])
        #expect(try await program.end() == .exit(69))
        #expect(program.errors.text.contains("cannot listen on 127.0.0.1:\(taken.port): address already in use"))
    }

    @Test(arguments: SignalScheme.allCases)
    func `a relay lists agents, and stops with 0 when asked to`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let list = try cluster.launchRelay([], options: ["--list-agents"])
        #expect(try await list.end() == .exit(0))
        #expect(list.output.text.contains(agent.instance))
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:9"])
        relay.program.signal(SIGTERM)
        #expect(try await relay.program.end() == .exit(0))
        // The agent was told, by close_notify or by way of the server.
        _ = try await agent.program.logLine(within: .seconds(5), "the end of the channel") {
            $0.contains("event=peer.closed")
        }
        let refused = try cluster.launchRelay(["127.0.0.1:0?to=127.0.0.1:9"], secret: "another one")
        #expect(try await refused.end() == .exit(77))
        await stopAll([cluster.server, agent.program])
    }
}
