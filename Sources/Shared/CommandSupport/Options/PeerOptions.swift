package import ArgumentParser

/// How peers look for a path to each other.
package struct PeerOptions: ParsableArguments {
    /// Which kinds of path a peer channel may take.
    package enum PathChoice: String, Sendable, CaseIterable {
        /// Whatever works. In this version: direct paths.
        case auto
        /// Direct paths only.
        case direct
    }

    @Option(
        name: .customLong("p2p"),
        help: ArgumentHelp("Which paths to peers to use: auto or direct.", valueName: "choice"),
        transform: { try Self.pathChoice($0) })
    package var pathChoice: PathChoice = .auto

    @Option(
        name: .customLong("p2p-interface"),
        help: ArgumentHelp("Use only this network interface for paths to peers. Repeatable.", valueName: "name"))
    package var interfaces: [String] = []

    @Option(
        name: .customLong("stun"),
        help: ArgumentHelp("Ask this STUN server too, besides the rtun server. Repeatable.", valueName: "host[:port]"),
        transform: { try HostPort(parsing: $0, defaultPort: Self.defaultSTUNPort) })
    package var stunServers: [HostPort] = []

    /// RFC 8489 section 8.1.
    private static let defaultSTUNPort: UInt16 = 3478

    package init() {}

    private static func pathChoice(_ text: String) throws -> PathChoice {
        if text == "bridge" {
            throw ValidationError("this version has no bridge; use auto or direct")
        }
        guard let choice = PathChoice(rawValue: text) else { throw ValidationError("expected auto or direct") }
        return choice
    }
}
