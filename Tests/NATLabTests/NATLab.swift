import Foundation
import Synchronization
import TestSupport

/// The network of `scripts/nat_lab.py`: a server on a public network, a client and an agent behind NATs. Needs root.
final class NATLab: Sendable {
    enum Side: String, CaseIterable, Sendable, CustomStringConvertible {
        case client, agent
        var description: String { self.rawValue }
    }

    typealias Kind = NATKind

    /// Where everybody with IPv4 finds the server.
    static let serverURL = "http://203.0.113.10:8888"

    private static let script = Interpreter.root + "/scripts/nat_lab.py"
    private static let traffic = Interpreter.root + "/Tests/NATLabTests/lab_traffic.py"
    /// Counts the labs of this process: several may stand at once.
    private static let made = Mutex(0)

    let client: NATKind
    let agent: NATKind
    /// Names the lab's namespaces, beside a lab that somebody looks at.
    private let name: String

    /// Builds the lab.
    init(client: NATKind, agent: NATKind) async throws {
        self.client = client
        self.agent = agent
        let number = Self.made.withLock { count in
            count += 1
            return count
        }
        self.name = "rtun-lab\(getpid())-\(number)"
        try await self.run("up \(client) \(agent)")
    }

    deinit {
        let removal = Process()
        removal.executableURL = URL(fileURLWithPath: Self.script)
        removal.arguments = ["down"]
        removal.environment = ProcessInfo.processInfo.environment.merging(["RTUN_LAB": self.name]) { $1 }
        RunningProgram.starting.withLock { try? removal.run() }
        removal.waitUntilExit()
    }

    @discardableResult
    private func run(_ command: String) async throws -> String {
        try await ShellCommand.run("RTUN_LAB=\(self.name) '\(Self.script)' \(command)")
    }

    /// What the probe says of client and agent: a line for each of their address families.
    func prove() async throws -> [String] { try await self.run("prove").split(separator: "\n").map(String.init) }

    /// What the probe says of a side's way to the server.
    func measure(_ side: Side) async throws -> String { try await self.run("measure \(side)") }

    /// How many UDP datagrams a side has exchanged with others than the server.
    func count(_ side: Side) async throws -> Int? {
        Int(try await self.run("count \(side)").trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Runs one of the script's other commands, such as `loss client 10`.
    func change(_ command: String) async throws { try await self.run(command) }

    /// Runs commands of a shell on a host, and returns what they print.
    @discardableResult
    func shell(on host: String, _ commands: String) async throws -> String {
        try await ShellCommand.run("ip netns exec \(self.name)-\(host) sh -ec '\(commands)'")
    }

    /// Where a side finds the server.
    ///
    /// - Parameter port: of the server, or of what stands before it.
    func serverURL(for side: Side, port: Int = 8888) -> String {
        let kind = side == .client ? self.client : self.agent
        return "http://" + (kind.ipv4 == nil ? "[2001:db8::10]" : "203.0.113.10") + ":\(port)"
    }

    /// Starts one of our programs, or one of the system's by its path, on a host.
    func launch(_ program: String, on host: String, _ arguments: [String]) throws -> RunningProgram {
        let path = program.contains("/") ? program : RunningProgram.folder + "/" + program
        return try RunningProgram(
            "/usr/sbin/ip", ["netns", "exec", "\(self.name)-\(host)", path] + arguments,
            environment: ["RTUN_SECRET": Cluster.secret])
    }

    /// Starts `lab_traffic.py` on a host.
    func launchTraffic(on host: String, _ arguments: String) throws -> RunningProgram {
        try self.launch(
            "/usr/bin/python3", on: host, [Self.traffic] + arguments.split(separator: " ").map(String.init))
    }

    /// Runs `lab_traffic.py` on a host to its end and returns what it printed.
    func traffic(on host: String, _ arguments: String, within limit: Duration = .seconds(60)) async throws -> String {
        try await ShellCommand.run(
            "ip netns exec \(self.name)-\(host) /usr/bin/python3 '\(Self.traffic)' \(arguments)", within: limit
        ).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
