import Foundation
import TestSupport
import Testing

/// Every way to ask, and every answer there is.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct SOCKSReplyTests {
    @Test(arguments: SignalScheme.allCases)
    func `SOCKS 4, 4a and 5 reach targets by address of both families and by name`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        let echo6 = try TCPService.echo(host: "::1")

        var connections: [BlockingSocket] = []
        connections.append(try await SOCKSTestClient.connect5(proxy: socks.port, .loopback, port: echo.port))
        connections.append(try await SOCKSTestClient.connect5(proxy: socks.port, .loopback6, port: echo6.port))
        connections.append(try await SOCKSTestClient.connect5(proxy: socks.port, .name("localhost"), port: echo.port))
        // A name that is an address literal is one to the agent too.
        connections.append(try await SOCKSTestClient.connect5(proxy: socks.port, .name("::1"), port: echo6.port))
        let four = try await SOCKSTestClient.request4(proxy: socks.port, address: [127, 0, 0, 1], port: echo.port)
        let fourA = try await SOCKSTestClient.request4(proxy: socks.port, name: "localhost", port: echo.port)
        #expect(four.reply == 90)
        #expect(fourA.reply == 90)
        connections += [four.connection, fourA.connection]
        for connection in connections {
            try await onThread {
                try connection.send("ping")
                let received = try connection.receive(exactly: 4)
                #expect(received == Array("ping".utf8))
            }
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `refusals carry the reply code of their cause`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        // On a machine that cannot ask anybody, the search for the name is over soon.
        let agent = try await cluster.agent(
            "egress", options: ["--deny", "127.0.0.9/32", "--allow", "0.0.0.0/0", "--allow", "::/0"],
            environment: ["RES_OPTIONS": "timeout:1 attempts:1"])
        let socks = try await cluster.socks()
        let closed = try TCPService.closedPort()
        let proxy = socks.port

        func reply(_ address: SOCKSTestClient.Address, _ port: Int, command: UInt8 = 1) async throws -> UInt8 {
            try await SOCKSTestClient.request5(proxy: proxy, address, port: port, command: command).reply
        }
        #expect(try await reply(.loopback, closed.port) == 5)  // connection refused
        #expect(try await reply(.name("no-such-host.invalid"), 80) == 4)  // host unreachable: the name is unknown
        #expect(try await reply(.ipv4([127, 0, 0, 9]), 80) == 2)  // not allowed by ruleset
        #expect(try await reply(.loopback, 80, command: 2) == 7)  // BIND
        #expect(try await reply(.loopback, 80, command: 3) == 0)  // UDP ASSOCIATE
        #expect(
            try await SOCKSTestClient.request4(proxy: proxy, address: [127, 0, 0, 1], port: closed.port).reply == 91)
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(.enabled(if: EgressNamespace.isAvailable, "needs root, to give the agents a network namespace"))
    func `unreachable and silent targets have reply codes of their own`() async throws {
        let namespace = try await EgressNamespace()
        await withBothSchemes { scheme in
            let (server, agent, _, url) = try await namespace.startServerAndAgent(scheme)
            let socks = try RunningProgram(
                "rtun-socks", ["--listen", "127.0.0.1:0", url, "--quic-insecure"],
                environment: ["RTUN_SECRET": Cluster.secret])
            let ready = try await socks.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
            let proxy = try #require(ready.split(separator: ":").last.flatMap { Int($0) })

            async let unreachableHost = SOCKSTestClient.request5(
                proxy: proxy, .ipv4(namespace.unreachableHost), port: 80)
            async let unreachableNetwork = SOCKSTestClient.request5(
                proxy: proxy, .ipv4(namespace.unreachableNetwork), port: 80)
            async let silent = SOCKSTestClient.request5(proxy: proxy, .ipv4(namespace.silentTarget), port: 80)
            #expect(try await unreachableHost.reply == 4, "\(scheme)")
            #expect(try await unreachableNetwork.reply == 3, "\(scheme)")
            #expect(try await silent.reply == 6, "\(scheme)")
            await stopAll([server, agent, socks])
        }
    }

    @Test func `user and password are demanded if set, and checked`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks(options: ["--auth", "alice:secret one", "--auth", "bob:two"])
        let web = try await WebServer()
        try await ShellCommand.run("echo content > '\(web.root)/page'")
        func fetch(_ user: String) async throws -> RunningProgram.Ending {
            try await ShellCommand.outcome(
                of: """
                    curl -sS --fail --socks5-hostname 127.0.0.1:\(socks.port) --proxy-user '\(user)' \
                        http://localhost:\(web.port)/page
                    """
            ).ending
        }
        #expect(try await fetch("alice:secret one") == .exit(0))
        #expect(try await fetch("bob:two") == .exit(0))
        #expect(try await fetch("bob:three") == .exit(97))  // curl: the proxy handshake failed
        #expect(
            try await ShellCommand.outcome(
                of: "curl -sS --socks5-hostname 127.0.0.1:\(socks.port) http://localhost:\(web.port)/page"
            ).ending == .exit(97))
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `a connection waits for an agent, and fails with a reply when none comes`() async throws {
        let cluster = try await Cluster(.https)
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        let clock = ContinuousClock()
        let began = clock.now
        let failed = try await SOCKSTestClient.request5(proxy: socks.port, .loopback, port: echo.port)
        #expect(failed.reply == 1)
        #expect((8.0...15.0).contains((clock.now - began) / .seconds(1)))

        async let waiting = SOCKSTestClient.request5(proxy: socks.port, .loopback, port: echo.port)
        let agent = try await cluster.agent("late")
        #expect(try await waiting.reply == 0)
        await stopAll([cluster.server, agent.program, socks.program])
    }
}
