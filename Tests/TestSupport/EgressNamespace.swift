import Foundation
import Synchronization

/// A network namespace for an agent, joined to this machine by a virtual Ethernet pair on documentation addresses, with
/// targets that fail in each of the ways a target can fail. Needs root.
package final class EgressNamespace: Sendable {
    package let name: String
    /// This machine's end of the link.
    private let hostLink: String
    /// This machine's address on the link: where the agent finds the server.
    package let hostAddress = "203.0.113.1"
    /// A target without any answer: packets to it vanish.
    package let silentTarget: [UInt8] = [198, 51, 100, 99]
    /// A target that the routing table calls unreachable (EHOSTUNREACH).
    package let unreachableHost: [UInt8] = [192, 0, 2, 1]
    /// A target to which there is no route (ENETUNREACH).
    package let unreachableNetwork: [UInt8] = [192, 0, 2, 129]

    /// Whether this process may make namespaces. In CI (`CI=true`) it has to: the tests then run and fail instead of
    /// being skipped.
    package static let isAvailable: Bool =
        ProcessInfo.processInfo.environment["CI"] == "true"
        || (getuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip"))

    /// Counts the namespaces of this process: the kernel takes its time to remove one, and its name and link stay taken.
    private static let made = Mutex(0)

    package init() async throws {
        let number = Self.made.withLock { count in
            count += 1
            return count
        }
        let name = "rtun-e2e-\(getpid())-\(number)"
        self.name = name
        self.hostLink = "rt\(getpid())n\(number)"
        let host = self.hostLink
        try await ShellCommand.run(
            """
            set -e
            ip netns add \(name)
            ip link add \(host) type veth peer name up0 netns \(name)
            ip addr add 203.0.113.1/24 dev \(host)
            ip link set \(host) up
            inside() { ip netns exec \(name) "$@"; }
            inside ip link set lo up
            inside ip addr add 203.0.113.2/24 dev up0
            inside ip link set up0 up
            inside ip link add void0 type veth peer name void1
            inside ip addr add 198.51.100.1/24 dev void0
            inside ip link set void0 up
            inside ip link set void1 up
            inside ip neigh add 198.51.100.99 lladdr 02:00:00:00:00:01 dev void0 nud permanent
            inside ip route add unreachable 192.0.2.0/25
            """)
    }

    deinit {
        // The links go with the namespace, but that stays for as long as a TCP connection in it waits for an answer to its
        // last segment; the next namespace has the same addresses.
        for arguments in [["link", "del", self.hostLink], ["netns", "del", self.name]] {
            let removal = Process()
            removal.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
            removal.arguments = arguments
            try? removal.run()
            removal.waitUntilExit()
        }
    }

    /// Sets what the link carries, at both ends.
    package func setMTU(_ bytes: Int) async throws {
        try await ShellCommand.run(
            "ip link set \(self.hostLink) mtu \(bytes) && ip -n \(self.name) link set up0 mtu \(bytes)")
    }

    /// Gives the namespace another address on the link, in place of the one that it has.
    package func changeAddress(to address: String) async throws {
        try await ShellCommand.run(
            "ip -n \(self.name) -4 addr flush dev up0 && ip -n \(self.name) addr add \(address)/24 dev up0")
    }

    /// Starts one of our programs inside, or one of the system's by its path.
    package func launch(_ program: String, _ arguments: [String], environment: [String: String]) throws
        -> RunningProgram
    {
        try RunningProgram(
            "/usr/sbin/ip",
            ["netns", "exec", self.name, program.contains("/") ? program : RunningProgram.folder + "/" + program]
                + arguments,
            environment: environment)
    }
}

extension EgressNamespace {
    /// Starts a server on this machine and an agent inside, and waits until that is registered. `url` is where both, and
    /// clients, find the server: over the virtual link, so that peers gather its addresses and not loopback's.
    package func startServerAndAgent(
        _ scheme: SignalScheme, agent name: String = "inside"
    ) async throws -> (server: RunningProgram, agent: RunningProgram, instance: String, url: String) {
        let environment = ["RTUN_SECRET": Cluster.secret]
        let server = try RunningProgram("rtun-server", ["--addr", "0.0.0.0:0"], environment: environment)
        let port = try await Cluster.readyPort(of: server)
        // A plain listener: http:// for the one scheme; over quic:// the server has made its own certificate.
        let url = "\(scheme == .https ? "http" : "quic")://\(self.hostAddress):\(port)"
        let agent = try self.launch("rtun-agent", [url, "--agent", name, "--quic-insecure"], environment: environment)
        let ready = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        guard let instance = ready.split(separator: "=").last.map(String.init) else {
            throw UnexpectedLine(line: ready)
        }
        return (server, agent, instance, url)
    }
}
