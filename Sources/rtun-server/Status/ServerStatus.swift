import Admin
import Basics
import FlowLedger

/// What the server tells of itself at one moment.
struct ServerStatus: ProgramStatus {
    struct Agent: Sendable {
        var name: String
        var instance: String
        var session: UInt64
        var address: String
        /// How its NAT maps, in the words of `MappingBehavior`.
        var mapping: String
        var software: String
        var labels: [String: String]
        /// Of this control connection; Unix time in milliseconds.
        var since: UInt64?
        /// Unix time in milliseconds; nil: never.
        var expires: UInt64?
        /// How many channels of clients it has.
        var channels: Int
    }

    struct Client: Sendable {
        var session: UInt64
        var address: String
        var software: String
        /// Unix time in milliseconds.
        var since: UInt64
        var channels: Int
    }

    /// Who is connected to whom.
    struct Channel: Sendable {
        var peer: String
        var client: String
        var session: UInt64
        var agent: String
        /// `tunnel` or `relay`; nil when only a restart has told of it.
        var kind: String?
        /// Of a relay.
        var target: String?
        /// Unix time in milliseconds.
        var since: UInt64
        /// Sent is from the client.
        var bridged: FlowTraffic
        /// Whether the bridge has carried something for it within the last 10 s.
        var isBridged: Bool
    }

    struct Bridge: Sendable {
        /// How many channels have had something carried within the last 10 s.
        var channels: Int
        var counts: BridgeForwarder.Counts
    }

    struct Certificate: Sendable {
        var file: String
        var fingerprint: String
        /// Unix time in seconds.
        var ends: Int64
    }

    /// Of `--authorized-keys`.
    struct Keys: Sendable {
        /// How many names of agents, and keys of clients, are listed.
        var agents: Int
        var clients: Int
        /// How many peers were kept out, by reason.
        var refused: [(String, UInt64)]
    }

    /// Of each list so many are told of, and how many there are.
    static let listLimit = 500

    var readiness = Readiness.ready
    /// What the server is reached by.
    var listening: [(scheme: String, address: String)] = []
    var agents: [Agent] = []
    var agentCount = 0
    var clients: [Client] = []
    var clientCount = 0
    var channels: [Channel] = []
    var channelCount = 0
    /// Connections for TCP and sessions of QUIC, proved or not.
    var connectionCount = 0
    /// nil when nothing is bridged.
    var bridge: Bridge?
    var traffic = FlowTraffic()
    var handshakes = Admission.Counts()
    /// nil when who knows a secret gets in.
    var keys: Keys?
    /// nil without one of its own.
    var certificate: Certificate?
}
