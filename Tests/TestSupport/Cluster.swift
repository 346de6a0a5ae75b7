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
    package func relaunchServer(options: [String] = []) async throws -> RunningProgram {
        for _ in 0..<20 {
            let server = try Self.launchServer(self.certificates, port: self.port, options: options)
            do {
                _ = try await Self.readyPort(of: server)
                return server
            } catch let error as ProgramEnded {
                // For a moment somebody may have the port by chance, such as a program that looks for the server.
                _ = try? await server.end()
                guard server.errors.text.contains("address already in use") else { throw error }
                try await ContinuousClock().sleep(for: .milliseconds(500))
            }
        }
        throw SocketFailure(operation: "listen on port \(self.port)", number: EADDRINUSE)
    }

    /// Waits for a server's ready line and reads its port.
    package static func readyPort(of server: RunningProgram) async throws -> Int {
        let ready = try await server.line("the ready line") { $0.hasPrefix("rtun-server ready ") }
        guard let port = Self.readyField("quic", in: ready)?.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw UnexpectedLine(line: ready)
        }
        return port
    }

    /// The value of a field of a ready line; of several the first.
    package static func readyField(_ name: String, in line: String) -> String? {
        line.split(separator: " ").first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    /// Starts an agent without waiting for it.
    package func launchAgent(
        _ name: String, secret: String = Cluster.secret, options: [String] = [], environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(
            "rtun-agent",
            [self.url, "--agent", name, "--ca-cert", self.certificates.authority, "--log-level", "debug"] + options,
            environment: environment.merging(["RTUN_SECRET": secret]) { $1 })
    }

    /// Starts an agent and waits until it is registered. By default it may dial loopback only.
    package func agent(
        _ name: String, options: [String] = [], environment: [String: String] = [:]
    ) async throws -> (program: RunningProgram, instance: String) {
        let program = try self.launchAgent(name, options: options, environment: environment)
        let ready = try await program.line("the ready line") { $0.hasPrefix("rtun-agent ready agent=\(name) ") }
        guard let instance = Self.readyField("instance", in: ready), instance.count == 32 else {
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
        // The first of several is on 127.0.0.1.
        guard let port = Self.readyField("socks", in: ready)?.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw UnexpectedLine(line: ready)
        }
        return (program, port)
    }
}

extension Cluster {
    /// A relay, and the ports that it listens on, one a rule.
    package struct Relay: Sendable {
        package let program: RunningProgram
        package let ports: [Int]
        package var port: Int { self.ports[0] }
    }

    /// Starts a relay without waiting for it.
    package func launchRelay(_ rules: [String], secret: String = Cluster.secret, options: [String] = []) throws
        -> RunningProgram
    {
        try RunningProgram(
            "rtun-relay",
            rules.flatMap { ["-L", $0] }
                + [self.url, "--ca-cert", self.certificates.authority, "--log-level", "debug"] + options,
            environment: ["RTUN_SECRET": secret])
    }

    /// Starts a relay and waits until it listens; `connected`: until each rule has its channel, too.
    package func relay(_ rules: [String], options: [String] = [], connected: Bool = true) async throws -> Relay {
        let program = try self.launchRelay(rules, options: options)
        let ready = try await program.line("the ready line") { $0.hasPrefix("rtun-relay ready ") }
        let ports = ready.split(separator: " ").dropFirst(2).prefix(rules.count).compactMap {
            $0.split(separator: ":").last.flatMap { Int($0) }
        }
        guard ports.count == rules.count else { throw UnexpectedLine(line: ready) }
        if connected {
            for port in ports {
                _ = try await program.logLine("the channel of port \(port)") {
                    $0.contains("event=agent.selected") && $0.hasSuffix(":\(port)")
                }
            }
        }
        return Relay(program: program, ports: ports)
    }

    /// Asks a relay or an agent for its statistics: the values of the next line about `what`, by key.
    package static func statistics(
        of program: RunningProgram, event: String = "relay.stats", _ what: String = "event="
    ) async throws -> [String: String] {
        let known = program.errors.lines.count
        program.signal(SIGUSR1)
        let line = try await program.logLine("the statistics", from: known) {
            $0.contains("event=\(event)") && $0.contains(what)
        }
        var values: [String: String] = [:]
        for pair in line.split(separator: " ") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
        }
        return values
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
