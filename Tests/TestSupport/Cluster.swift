import Foundation
import Glibc

/// How programs reach the server.
package enum SignalScheme: String, CaseIterable, Sendable, CustomStringConvertible {
    case https, quic
    package var description: String { self.rawValue }
}

/// A server, agents and SOCKS proxies: the real programs, on loopback, on ports of the kernel's choosing.
package final class Cluster: Sendable {
    package static let secret = "a secret of the tests"

    package let folder: TestFolder
    package let certificates: TestCertificates
    package let scheme: SignalScheme
    package let server: RunningProgram
    /// The server's port, the same for TCP and UDP.
    package let port: Int

    /// Where the programs find the server.
    package var url: String { "\(self.scheme.rawValue)://localhost:\(self.port)" }

    /// Starts a server and waits until it is ready.
    package init(_ scheme: SignalScheme, serverOptions: [String] = []) async throws {
        self.folder = try TestFolder()
        self.certificates = try await TestCertificates(in: self.folder)
        self.scheme = scheme
        self.server = try Self.launchServer(self.certificates, port: 0, options: serverOptions)
        self.port = try await Self.readyPort(of: self.server)
    }

    private static func launchServer(
        _ certificates: TestCertificates, port: Int, options: [String] = []
    ) throws -> RunningProgram {
        try RunningProgram(
            "rtun-server",
            [
                "--addr", "127.0.0.1:\(port)", "--https-key", certificates.key, "--https-cert",
                certificates.certificate,
                "--log-level", "debug",
            ] + options,
            environment: ["RTUN_SECRET": Self.secret])
    }

    /// Starts the server anew on the port it had (after it was killed).
    package func relaunchServer() async throws -> RunningProgram {
        let server = try Self.launchServer(self.certificates, port: self.port)
        _ = try await Self.readyPort(of: server)
        return server
    }

    /// Waits for a server's ready line and reads its port.
    package static func readyPort(of server: RunningProgram) async throws -> Int {
        let ready = try await server.line("the ready line") { $0.hasPrefix("rtun-server ready ") }
        guard let port = ready.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw UnexpectedLine(line: ready)
        }
        return port
    }

    /// Starts an agent without waiting for it.
    package func launchAgent(_ name: String, secret: String = Cluster.secret, options: [String] = []) throws
        -> RunningProgram
    {
        try RunningProgram(
            "rtun-agent",
            [self.url, "--agent", name, "--ca-cert", self.certificates.authority, "--log-level", "debug"] + options,
            environment: ["RTUN_SECRET": secret])
    }

    /// Starts an agent and waits until it is registered. By default it may dial loopback only.
    package func agent(_ name: String, options: [String] = []) async throws -> (
        program: RunningProgram, instance: String
    ) {
        let program = try self.launchAgent(name, options: options)
        let ready = try await program.line("the ready line") { $0.hasPrefix("rtun-agent ready agent=\(name) ") }
        guard let instance = ready.split(separator: "=").last.map(String.init), instance.count == 32 else {
            throw UnexpectedLine(line: ready)
        }
        return (program, instance)
    }

    /// Starts a SOCKS proxy without waiting for it.
    package func launchSocks(secret: String = Cluster.secret, options: [String] = []) throws -> RunningProgram {
        try RunningProgram(
            "rtun-socks",
            [
                "--listen", "127.0.0.1:0", self.url, "--ca-cert", self.certificates.authority, "--log-level", "debug",
            ] + options,
            environment: ["RTUN_SECRET": secret])
    }

    /// Starts a SOCKS proxy and waits until it listens.
    package func socks(options: [String] = []) async throws -> (program: RunningProgram, port: Int) {
        let program = try self.launchSocks(options: options)
        let ready = try await program.line("the ready line") { $0.hasPrefix("rtun-socks ready socks=127.0.0.1:") }
        guard let port = ready.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw UnexpectedLine(line: ready)
        }
        return (program, port)
    }
}

/// A program wrote a ready line of another form.
package struct UnexpectedLine: Error, CustomStringConvertible {
    let line: String
    package var description: String { "unexpected ready line: \(self.line)" }
}

/// Ends programs at once, newest first; how they stop when asked to is tested on its own.
package func stopAll(_ programs: [RunningProgram]) async {
    for program in programs.reversed() { await program.kill9() }
}
