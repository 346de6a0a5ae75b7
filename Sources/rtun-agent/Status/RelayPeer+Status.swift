import Admin
import Basics
import FlowLedger
import PeerSupport
import UDPRelay

extension RelayPeer {
    func status(_ clock: StatusClock) -> AgentStatus.Peer {
        AgentStatus.Peer(
            kind: .relay(target: self.target), client: self.client.id,
            channel: ChannelStatus(self.peerChannel, id: self.id, clock),
            flows: self.flowCount, traffic: self.traffic)
    }

    var traffic: FlowTraffic {
        FlowTraffic(sent: self.statistics.toTarget.bytes, received: self.statistics.fromTarget.bytes)
    }

    var drops: [DropReason: UInt64] {
        RelayDropReason.allCases.reduce(into: [:]) { $0[DropReason($1)] = self.statistics[$1] }
    }
}
