import Foundation
import TestSupport

/// The network of `scripts/nat-lab.sh`: a server on a public network, a client and an agent behind NATs. Needs root.
final class NATLab: Sendable {
    /// The kinds of NAT that the script knows, and what they do to hole punching.
    enum Kind: String, CaseIterable, Sendable, CustomStringConvertible {
        case open
        case fullCone = "full-cone"
        case address
        case port
        case symmetric
        case carrier
        case serverOnly = "server-only"
        case noUDP = "no-udp"

        var description: String { self.rawValue }

        /// What the script's own probe says of it.
        var probe: String {
            switch self {
            case .open, .fullCone: "mapping endpoint-independent, filtering endpoint-independent"
            case .address: "mapping endpoint-independent, filtering address-dependent"
            case .port, .carrier, .serverOnly: "mapping endpoint-independent, filtering address-and-port-dependent"
            case .symmetric: "mapping address-and-port-dependent, filtering address-and-port-dependent"
            case .noUDP: "no UDP"
            }
        }

        private var blocksPeers: Bool { self == .serverOnly || self == .noUDP }
        /// Lets in a peer whose port is not the one that was told.
        private var acceptsAnyPort: Bool { self == .open || self == .fullCone || self == .address }

        /// Whether two peers behind such NATs find each other by sending at the same time: not where UDP is blocked, and not
        /// where one side's port depends on the destination and the other lets in only the port that it was told.
        func isPunchable(with other: Kind) -> Bool {
            guard !self.blocksPeers, !other.blocksPeers else { return false }
            if self == .symmetric { return other.acceptsAnyPort }
            return other != .symmetric || self.acceptsAnyPort
        }
    }

    static let serverURL = "http://203.0.113.10:8888"

    private static let script = Interpreter.root + "/scripts/nat-lab.sh"
    private static let traffic = Interpreter.root + "/Tests/NATLabTests/lab_traffic.py"
    /// Short enough for namespaces of its own beside a lab that somebody looks at.
    private static let name = "rtun-lab\(getpid())"

    /// Builds the lab.
    init(client: Kind, agent: Kind) async throws {
        try await Self.run("up \(client) \(agent)")
    }

    deinit {
        let removal = Process()
        removal.executableURL = URL(fileURLWithPath: Self.script)
        removal.arguments = ["down"]
        removal.environment = ProcessInfo.processInfo.environment.merging(["RTUN_LAB": Self.name]) { $1 }
        try? removal.run()
        removal.waitUntilExit()
    }

    @discardableResult
    private static func run(_ command: String) async throws -> String {
        try await ShellCommand.run("RTUN_LAB=\(Self.name) '\(Self.script)' \(command)")
    }

    /// What the probe says of client and agent.
    func prove() async throws -> String { try await Self.run("prove") }

    /// Runs one of the script's other commands, such as `loss client 10`.
    func change(_ command: String) async throws { try await Self.run(command) }

    /// Starts one of our programs, or one of the system's by its path, on a host.
    func launch(_ program: String, on host: String, _ arguments: [String]) throws -> RunningProgram {
        let path = program.contains("/") ? program : RunningProgram.folder + "/" + program
        return try RunningProgram(
            "/usr/sbin/ip", ["netns", "exec", "\(Self.name)-\(host)", path] + arguments,
            environment: ["RTUN_SECRET": Cluster.secret])
    }

    /// Runs `lab_traffic.py` on a host to its end and returns what it printed.
    func traffic(on host: String, _ arguments: String) async throws -> Int {
        let text = try await ShellCommand.run(
            "ip netns exec \(Self.name)-\(host) /usr/bin/python3 '\(Self.traffic)' \(arguments)", within: .seconds(40))
        guard let milliseconds = Int(text) else { throw UnexpectedOutput(text: text) }
        return milliseconds
    }

    /// Starts the echo service on the agent's host.
    func echo(port: Int) async throws -> RunningProgram {
        let service = try self.launch("/usr/bin/python3", on: "agent", [Self.traffic, "serve", "\(port)"])
        _ = try await service.line("the echo service") { $0 == "serving" }
        return service
    }

    private struct UnexpectedOutput: Error { let text: String }
}
