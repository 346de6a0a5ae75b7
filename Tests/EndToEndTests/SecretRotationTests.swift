import Foundation
import TestSupport
import Testing

/// A secret is replaced by another while everything runs.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct SecretRotationTests {
    private static let old = "the secret of the old days"
    private static let new = "the secret of the new days"

    private struct Place {
        let folder: TestFolder
        let certificates: TestCertificates
        let server: RunningProgram
        let url: String

        init(_ scheme: SignalScheme, _ secrets: String) async throws {
            self.folder = try TestFolder()
            self.certificates = try await TestCertificates(in: self.folder)
            try self.folder.write("server", secrets)
            self.server = try RunningProgram(
                "rtun-server",
                [
                    "--addr", "127.0.0.1:0", "--https-key", self.certificates.key, "--https-cert",
                    self.certificates.certificate, "--secret-file", self.folder.file("server"), "--log-level", "debug",
                ])
            let port = try await Cluster.readyPort(of: self.server)
            self.url = "\(scheme)://localhost:\(port)"
        }

        func launch(_ program: String, _ options: [String], secrets: String) throws -> RunningProgram {
            let file = try self.folder.write(program, secrets)
            return try RunningProgram(
                program,
                [self.url, "--ca-cert", self.certificates.authority, "--secret-file", file, "--log-level", "debug"]
                    + options)
        }

        /// Has the server read its file now.
        func replaceSecrets(_ secrets: String) async throws {
            let known = self.server.errors.lines.count
            try self.folder.write("server", secrets)
            self.server.signal(SIGHUP)
            _ = try await self.server.logLine("the new secrets", from: known) { $0.contains("event=secrets.reloaded") }
        }
    }

    @Test(arguments: SignalScheme.allCases)
    func `a secret is replaced under traffic, and no connection is lost`(scheme: SignalScheme) async throws {
        let place = try await Place(scheme, Self.old)
        let agent = try place.launch("rtun-agent", ["--agent", "egress"], secrets: "\(Self.old)\n")
        let agentReady = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let socks = try place.launch("rtun-socks", ["--listen", "127.0.0.1:0"], secrets: Self.old)
        let ready = try await socks.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
        let port = try #require(ready.split(separator: ":").last.flatMap { Int($0) })
        let echo = try TCPService.echo()
        let connection = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
        let step: @Sendable () throws -> Void = {
            let bytes = [UInt8](repeating: 7, count: 50_000)
            try connection.send(bytes)
            #expect(try connection.receive(exactly: bytes.count) == bytes)
        }
        try await onThread(step)
        // The server takes both, the peers get the new one, the old one goes.
        try await place.replaceSecrets("\(Self.old)\n\(Self.new)\n")
        try await onThread(step)
        #expect(!agent.errors.text.contains("event=signal.lost"))
        try place.folder.write("rtun-agent", Self.new)
        try place.folder.write("rtun-socks", Self.new)
        let known = (agent.errors.lines.count, socks.errors.lines.count)
        try await place.replaceSecrets(Self.new)
        try await onThread(step)
        for (program, start) in [(agent, known.0), (socks, known.1)] {
            let lost = try await program.logLine("the end of the session", from: start) {
                $0.contains("event=signal.lost")
            }
            #expect(lost.contains("the secret is no longer valid"))
            _ = try await program.logLine("the other secret", from: start) { $0.contains("event=secret.reread") }
            _ = try await program.logLine("the connection", from: start) { $0.contains("event=signal.connected") }
        }
        try await onThread(step)
        // A new connection finds its way as well, and the agent is the one of before.
        let next = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
        try await onThread {
            try next.send([1])
            #expect(try next.receive(exactly: 1) == [1])
        }
        let instance = try #require(agentReady.split(separator: "=").last)
        #expect(
            agent.errors.lines.last { $0.contains("event=signal.connected") }?.contains("instance=\(instance)") == true)
        #expect(agent.isRunning && socks.isRunning)
        await stopAll([place.server, agent, socks])
    }

    @Test(arguments: SignalScheme.allCases)
    func `who has nothing but a secret that is gone ends with 77, and hears why`(scheme: SignalScheme) async throws {
        let place = try await Place(scheme, "agent:\(Self.old)\nclient:\(Self.new)\n")
        let agent = try place.launch("rtun-agent", ["--agent", "egress"], secrets: Self.old)
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let other = try place.launch("rtun-socks", ["--listen", "127.0.0.1:0"], secrets: "agent:x\nclient:\(Self.new)")
        _ = try await other.logLine("the connection") { $0.contains("event=signal.connected") }
        try await place.replaceSecrets("agent:another secret of agents\nclient:\(Self.new)\n")
        #expect(try await agent.end() == .exit(77))
        #expect(agent.errors.text.contains("the secret is no longer valid"))
        #expect(other.isRunning && !other.errors.text.contains("event=signal.lost"))
        // A file that is of no use changes nothing.
        let known = place.server.errors.lines.count
        try place.folder.write("server", "\n")
        place.server.signal(SIGHUP)
        _ = try await place.server.logLine("the complaint", from: known) { $0.contains("event=secrets.reload_failed") }
        #expect(other.isRunning && !other.errors.text.contains("event=signal.lost"))
        await stopAll([place.server, other])
    }

    @Test func `a changed file is noticed without being told`() async throws {
        let place = try await Place(.quic, Self.old)
        try place.folder.write("server", Self.new)
        _ = try await place.server.logLine(within: .seconds(20), "the new secrets") {
            $0.contains("event=secrets.reloaded")
        }
        let agent = try place.launch("rtun-agent", ["--agent", "egress"], secrets: Self.new)
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        await stopAll([place.server, agent])
    }

    @Test func `short secrets and files that others can read are warned of`() async throws {
        let place = try await Place(.https, "agent:0123456789\nclient:\(Self.new)")
        _ = try await place.server.logLine("the warning") { $0.contains("event=secret.short") && !$0.contains("!") }
        let file = try place.folder.write("short", "0123456789")
        try await ShellCommand.run("chmod 644 '\(file)'")
        let agent = try RunningProgram(
            "rtun-agent",
            [
                place.url.replacingOccurrences(of: "https", with: "quic"), "--quic-insecure", "--secret-file", file,
                "--agent", "x",
            ])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        #expect(agent.errors.text.contains("others can read the secrets in \(file) (mode 0644): chmod 600 \(file)"))
        #expect(
            agent.errors.text.contains("fewer than 16 bytes")
                && agent.errors.text.contains("certificate is not checked"))
        await stopAll([place.server, agent])
    }
}
