import Foundation
import TestSupport
import Testing

/// Our programs and other people's implementations of the same standards.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct InteropTests {
    @Test(arguments: SignalScheme.allCases)
    func `an independent client completes the handshake of the transport and reads ServerHello`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        try await Self.expectServerHello(cluster)
        await cluster.server.stop()
    }

    private static func expectServerHello(_ cluster: Cluster) async throws {
        let said = try await ShellCommand.run(
            "'\(Interpreter.python)' '\(Interpreter.script("server_hello.py"))' \(cluster.url) '\(cluster.certificates.authority)'"
        )
        #expect(said.contains("ServerHello versions=[1] nonce=32 bindings=[1]"))
    }

    /// Each of these ended a process that left everything to ngtcp2 0.12.
    @Test(arguments: [
        ("retirement", "sent"), ("hidden", "error_code=7"), ("key-update", "error_code=266"),
        ("no-parameters", "error_code=365"), ("old-ack", "sent"), ("decoded-ack", "sent"),
    ])
    func `an attack on a QUIC server closes the attacker's connection only`(attack: String, outcome: String)
        async throws
    {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let script = Interpreter.script("quic_attacks.py")
        let said = try await ShellCommand.run(
            "'\(Interpreter.python)' '\(script)' \(cluster.url) '\(cluster.certificates.authority)' \(attack)")
        #expect(said == outcome)
        // Whoever comes next is served.
        try await Self.expectServerHello(cluster)
        #expect(cluster.server.isRunning)
        #expect(!agent.program.errors.text.contains("event=signal.lost"))
        await stopAll([cluster.server, agent.program])
    }

    @Test func `a client that acknowledges nothing costs bounded memory`() async throws {
        let cluster = try await Cluster(.quic)
        let script = Interpreter.script("quic_attacks.py")
        let attack =
            "'\(Interpreter.python)' '\(script)' \(cluster.url) '\(cluster.certificates.authority)' unacknowledged"
        // The first has the server's memory grow to what a connection takes.
        _ = try await ShellCommand.run(attack)
        let before = try cluster.server.residentBytes().now
        _ = try await ShellCommand.run(attack)
        let after = try cluster.server.residentBytes().now
        #expect(after - before < 1 << 20, "\(before) and then \(after) bytes")
        try await Self.expectServerHello(cluster)
        await cluster.server.stop()
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func `coturn's STUN client learns its address from rtun-server`(host: String) async throws {
        let bracketed = host.contains(":") ? "[\(host)]" : host
        let server = try RunningProgram(
            "rtun-server", ["--addr", "\(bracketed):0"], environment: ["RTUN_SECRET": Cluster.secret])
        let port = try await Cluster.readyPort(of: server)
        let said = try await ShellCommand.outcome(of: "turnutils_stunclient -p \(port) \(host)")
        #expect(said.ending == .exit(0))
        let text = said.output + said.errors
        #expect(text.contains("reflexive addr: \(host)"), "\(text)")
        await server.stop()
    }

    @Test func `PySocks and ncat get through with every version of SOCKS`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        let said = try await ShellCommand.run(
            """
            '\(Interpreter.python)' - \(socks.port) \(echo.port) <<'EOP'
            import socks, sys
            proxy, port = map(int, sys.argv[1:])
            for kind, host, remote in [(socks.SOCKS5, "127.0.0.1", True), (socks.SOCKS5, "localhost", True),
                                       (socks.SOCKS4, "127.0.0.1", False), (socks.SOCKS4, "localhost", True)]:
                connection = socks.socksocket()
                connection.settimeout(10)
                connection.set_proxy(kind, "127.0.0.1", proxy, rdns=remote)
                connection.connect((host, port))
                connection.sendall(b"ping")
                assert connection.recv(4) == b"ping"
                print("ok", kind, host)
            EOP
            echo through ncat | ncat --proxy 127.0.0.1:\(socks.port) --proxy-type socks5 127.0.0.1 \(echo.port)
            echo through ncat | ncat --proxy 127.0.0.1:\(socks.port) --proxy-type socks4 127.0.0.1 \(echo.port)
            """)
        let lines = said.split(separator: "\n")
        #expect(lines.count(where: { $0.hasPrefix("ok") }) == 4)
        #expect(lines.count(where: { $0 == "through ncat" }) == 2)
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `the list of sessions needs a token`() async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        let token = try await ShellCommand.run(
            "RTUN_SECRET='\(Cluster.secret)' '\(RunningProgram.folder)/rtun-server' --print-sessions-token 60s"
        ).trimmingCharacters(in: .whitespacesAndNewlines)
        func curl(_ options: String, _ path: String) async throws -> String {
            try await ShellCommand.run(
                """
                curl -sS --cacert '\(cluster.certificates.authority)' -w ' %{http_code}' \(options) \
                    https://localhost:\(cluster.port)\(path)
                """)
        }
        let list = try await curl("-H 'Authorization: Bearer \(token)'", "/pub/sessions")
        #expect(list.hasSuffix(" 200"))
        #expect(list.contains(agent.instance))
        #expect(try await curl("", "/pub/sessions").hasSuffix(" 401"))
        #expect(try await curl("-H 'Authorization: Bearer \(token)0'", "/pub/sessions").hasSuffix(" 401"))
        #expect(try await curl("", "/healthz").hasSuffix(" 200"))
        #expect(try await curl("", "/nothing/here").hasSuffix(" 404"))
        await stopAll([cluster.server, agent.program])
    }
}
