import Admin
import Basics
import FlowLedger
import PeerChannel
import PeerSupport

/// What the agent tells of itself at one moment.
struct AgentStatus: ProgramStatus {
    /// One client's channel.
    struct Peer: Sendable {
        enum Kind: Sendable {
            case tunnel
            case relay(target: String)
        }

        var kind: Kind
        /// Whose share of the limits it has.
        var client: ClientID
        var channel: ChannelStatus
        /// Connections or flows.
        var flows: Int
        var traffic: FlowTraffic
    }

    /// What its event loops have; each has a part of it.
    struct Part: Sendable {
        var peers: [Peer] = []
        var flows = FlowsStatus()
        var totals = ChannelTotals()
        var drops: [DropReason: UInt64] = [:]

        static func += (all: inout Part, part: Part) {
            all.peers += part.peers
            all.flows += part.flows
            all.totals += part.totals
            all.drops.merge(part.drops) { $0 &+ $1 }
        }
    }

    struct Registration: Sendable {
        var name: String
        /// nil before the first registration.
        var instance: String?
        /// Of this control connection; Unix time in milliseconds.
        var since: UInt64?
        /// Unix time in milliseconds; nil: never.
        var expires: UInt64?
        /// How this machine's NAT maps; nil while that is not known.
        var mapping: String?
    }

    struct Limits: Sendable {
        var peers: Int
        var streams: Int
        var flows: Int
        var usedStreams: Int
        var usedFlows: Int
    }

    struct Refusal: Sendable {
        var target: String
        var count: UInt64
        /// Unix time in milliseconds.
        var last: UInt64
    }

    var control: ControlStatus
    var registration: Registration
    var limits: Limits
    /// What the policy has refused, the latest first.
    var refusals: [Refusal]
    /// Offers of relays that the policy has refused.
    var refusedRelays: UInt64
    /// How many have channels.
    var clients: Int
    /// Offers that were refused before anything was made of them.
    var refusedOffers: [PeerRefusal.Reason: UInt64]
    var part: Part

    var readiness: Readiness {
        self.control.obstacle.map { .notReady("not registered: \($0)") } ?? .ready
    }

    var traffic: FlowTraffic { self.part.flows.traffic }
}
