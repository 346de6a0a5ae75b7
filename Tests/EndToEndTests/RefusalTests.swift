import Foundation
import TestSupport
import Testing

/// Who must not get in, who must not get in between, and what the programs say about it.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct RefusalTests {
    @Test(arguments: SignalScheme.allCases)
    func `a wrong secret ends agent and proxy with 77 within two seconds`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        for launch in [
            { try cluster.launchAgent("egress", secret: "another secret") },
            { try cluster.launchSocks(secret: "another secret") },
        ] {
            // Few enough to be free of the server's throttle, even when each of them runs three times.
            try await expectWithin(.seconds(2)) {
                let program = try launch()
                let clock = ContinuousClock()
                let began = clock.now
                let ending = try await program.end()
                let time = clock.now - began
                #expect(ending == .exit(77))
                #expect(program.errors.text.contains("secret"))
                #expect(!program.errors.text.contains("another secret"))
                return time
            }
        }
        _ = try await cluster.server.logLine("the failed proof in the log") { $0.contains("event=auth.failed") }
        await cluster.server.stop()
    }

    @Test(arguments: [
        ("rtun-server", ["--addr", "127.0.0.1:0"]), ("rtun-agent", ["https://localhost:1"]),
        ("rtun-socks", ["https://localhost:1", "--listen", "127.0.0.1:0"]),
    ])
    func `no secret is a usage error that says how to give one`(program: String, arguments: [String]) async throws {
        let program = try RunningProgram(program, arguments)
        #expect(try await program.end() == .exit(64))
        #expect(program.errors.text.contains("--secret"))
        #expect(program.errors.text.contains("RTUN_SECRET"))
    }

    @Test func `a man in the middle of https is refused thanks to the binding`() async throws {
        let cluster = try await Cluster(.https)
        let forged = try await TestCertificates(in: cluster.folder, name: "forged")
        let middle = try await WebServer(terminatingTLSWith: forged, forPort: cluster.port, encrypting: true)
        for name in ["rtun-agent", "rtun-socks"] {
            let program = try RunningProgram(
                name,
                ["https://localhost:\(middle.port)", "--https-insecure"]
                    + (name == "rtun-socks" ? ["--listen", "127.0.0.1:0"] : []),
                environment: ["RTUN_SECRET": Cluster.secret])
            #expect(try await program.end(within: .seconds(5)) == .exit(77))
            #expect(program.output.lines.filter { $0.contains("agent ready") }.isEmpty)
        }
        // The same man in the middle does not get past a checked certificate either: that is retried, not believed.
        let careful = try RunningProgram(
            "rtun-agent", ["https://localhost:\(middle.port)", "--ca-cert", cluster.certificates.authority],
            environment: ["RTUN_SECRET": Cluster.secret])
        let line = try await careful.logLine("the untrusted certificate") { $0.contains("--ca-cert") }
        #expect(line.contains("not trusted"))
        await stopAll([cluster.server, careful])
    }

    @Test func `a man in the middle of quic is refused thanks to the binding`() async throws {
        let cluster = try await Cluster(.quic)
        let forged = try await TestCertificates(in: cluster.folder, name: "forged")
        let middle = try RunningProgram(
            Interpreter.python,
            [
                Interpreter.script("quic_middle.py"), "--upstream", String(cluster.port), "--certificate",
                forged.certificate, "--key", forged.key,
            ])
        let ready = try await middle.line("the man in the middle listening") { $0.hasPrefix("listening ") }
        let port = try #require(ready.split(separator: " ").last)
        for name in ["rtun-agent", "rtun-socks"] {
            let program = try RunningProgram(
                name,
                ["quic://127.0.0.1:\(port)", "--quic-insecure"]
                    + (name == "rtun-socks" ? ["--listen", "127.0.0.1:0"] : []),
                environment: ["RTUN_SECRET": Cluster.secret])
            #expect(try await program.end(within: .seconds(5)) == .exit(77))
        }
        // It did sit in between: it has seen what both sides said.
        _ = try await middle.line("bytes in both directions") { $0 == "relayed both ways" }
        await stopAll([cluster.server, middle])
    }

    @Test func `a proxy with the right certificate that terminates TLS works`() async throws {
        let folder = try TestFolder()
        let certificates = try await TestCertificates(in: folder)
        let environment = ["RTUN_SECRET": Cluster.secret]
        let server = try RunningProgram("rtun-server", ["--addr", "127.0.0.1:0"], environment: environment)
        let port = try await Cluster.readyPort(of: server)
        let front = try await WebServer(terminatingTLSWith: certificates, forPort: port)
        let url = "https://localhost:\(front.port)"
        // STUN is the one thing that the proxy does not carry; on loopback nobody needs it.
        let agent = try RunningProgram(
            "rtun-agent", [url, "--agent", "behind", "--ca-cert", certificates.authority], environment: environment)
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready agent=behind ") }
        let socks = try RunningProgram(
            "rtun-socks", [url, "--ca-cert", certificates.authority, "--listen", "127.0.0.1:0"],
            environment: environment)
        let ready = try await socks.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
        let proxy = try #require(ready.split(separator: ":").last.flatMap { Int($0) })
        let echo = try TCPService.echo()
        let connection = try await SOCKSTestClient.connect5(proxy: proxy, port: echo.port)
        try await onThread {
            try connection.send("through")
            let received = try connection.receive(exactly: 7)
            #expect(received == Array("through".utf8))
        }
        await stopAll([server, agent, socks])
    }

    @Test func `errors of the command line and of the machine have their exit codes and name their cause`() async throws
    {
        let folder = try TestFolder()
        let certificates = try await TestCertificates(in: folder)
        let other = try await TestCertificates(in: folder, name: "other")
        let environment = ["RTUN_SECRET": Cluster.secret]
        let taken = try TCPService.echo()
        let rows: [(program: String, arguments: [String], code: Int32, words: [String])] = [
            (
                "rtun-server", ["--addr", "127.0.0.1:\(taken.port)"], 69,
                ["127.0.0.1:\(taken.port)", "address already in use"]
            ),
            ("rtun-server", ["--addr", "127.0.0.1:0", "--https-key", certificates.key], 64, ["--https-cert"]),
            ("rtun-server", ["--addr", "127.0.0.1:0", "--https-cert", certificates.certificate], 64, ["--https-key"]),
            (
                "rtun-server",
                ["--addr", "127.0.0.1:0", "--https-key", "/nowhere/key", "--https-cert", certificates.certificate], 69,
                ["/nowhere/key"]
            ),
            (
                "rtun-server",
                ["--addr", "127.0.0.1:0", "--https-key", other.key, "--https-cert", certificates.certificate], 78,
                [other.key, "belong"]
            ),
            ("rtun-server", ["--addr", "127.0.0.1:99999"], 64, ["99999"]),
            ("rtun-agent", ["ftp://localhost"], 64, ["ftp"]),
            ("rtun-agent", ["https://localhost:99999"], 64, ["99999"]),
            ("rtun-agent", ["https://localhost:1", "--expire_in", "soon"], 64, ["soon"]),
            ("rtun-socks", ["https://localhost:1", "--agent", "("], 64, ["--agent"]),
            (
                "rtun-socks", ["https://localhost:1", "--listen", "127.0.0.1:\(taken.port)"], 69,
                ["address already in use"]
            ),
            ("rtun-socks", ["https://localhost:1", "--nonsense"], 64, ["nonsense"]),
            ("rtun-socks", ["https://localhost:1", "--secret-file", "/nowhere/secret"], 69, ["/nowhere/secret"]),
        ]
        for row in rows {
            let program = try RunningProgram(row.program, row.arguments, environment: environment)
            let ending = try await program.end()
            let text = program.errors.text
            #expect(ending == .exit(row.code), "\(row.program) \(row.arguments): \(text)")
            for word in row.words {
                #expect(text.contains(word), "\(row.program) \(row.arguments) does not say \(word): \(text)")
            }
        }
    }

    @Test func `a secret on the command line does not stay in the list of processes`() async throws {
        let server = try RunningProgram("rtun-server", ["--addr", "127.0.0.1:0", "--secret", "visible-secret"])
        _ = try await Cluster.readyPort(of: server)
        let arguments = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(server.pid)/cmdline"))
        #expect(!String(decoding: arguments, as: UTF8.self).contains("visible-secret"))
        await server.stop()
    }
}
