package import ArgumentParser

/// How peers look for a path to each other, and how fast they send on it.
package struct PeerOptions: ParsableArguments {
    /// Which kinds of path a peer channel may take.
    package enum PathChoice: String, Sendable, CaseIterable {
        /// The bridge at once, and the best direct path as soon as there is one.
        case auto
        /// Direct paths only.
        case direct
        /// The server's bridge only.
        case bridge
    }

    /// The most that `--p2p-spread` takes: more sockets than that are more than many a NAT keeps for one customer.
    package static let maximumSpread = 1024

    @Option(
        name: .customLong("p2p"),
        help: ArgumentHelp(
            "Which paths to peers to use: auto (the server's bridge until there is a direct path), direct, or bridge "
                + "(default: auto).",
            valueName: "choice"),
        transform: { try Self.pathChoice($0) })
    package var pathChoice: PathChoice = .auto

    @Option(
        name: .customLong("p2p-spread"),
        help: ArgumentHelp(
            "Open up to this many sockets to get past a NAT that uses another port for each destination; the other side "
                + "probes four times as many ports. 0 turns this off; at most \(Self.maximumSpread) (default: 256).",
            valueName: "count"),
        transform: { try Self.spread($0) })
    package var spread = 256

    @Option(
        name: .customLong("p2p-interface"),
        help: ArgumentHelp("Use only this network interface for paths to peers. Repeatable.", valueName: "name"))
    package var interfaces: [String] = []

    @Option(
        name: .customLong("stun"),
        help: ArgumentHelp(
            "Ask this STUN server in addition to the rtun server. Repeatable.", valueName: "host[:port]"),
        transform: { try HostPort(parsing: $0, defaultPort: Self.defaultSTUNPort) })
    package var stunServers: [HostPort] = []

    @Option(
        name: .customLong("congestion"),
        help: ArgumentHelp(
            "Congestion control for QUIC, in tunnels and to a quic:// server with its bridge: bbr goes by measured "
                + "bandwidth, cubic by loss, which leaves more to TCP on the same link. The channels of "
                + "rtun-relay's udp rules have no congestion control.",
            valueName: "algorithm"))
    package var congestion = CongestionChoice.bbr

    /// RFC 8489 §8.1.
    private static let defaultSTUNPort: UInt16 = 3478

    package init() {}

    private static func pathChoice(_ text: String) throws -> PathChoice {
        guard let choice = PathChoice(rawValue: text) else {
            throw ValidationError("expected auto, direct or bridge")
        }
        return choice
    }

    private static func spread(_ text: String) throws -> Int {
        guard let count = Int(text), (0...Self.maximumSpread).contains(count) else {
            throw ValidationError("expected a number of sockets from 0 (off) to \(Self.maximumSpread)")
        }
        return count
    }
}
