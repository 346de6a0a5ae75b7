import Admin
import Basics
import FlowLedger
import PeerSupport
import UDPRelay

extension RuleWorker {
    /// What names it among the others.
    var statusID: String { "\(self.rule.transport.rawValue) \(self.announcedAddress.authority)" }
}

extension UDPWorker {
    func status(_ clock: StatusClock) -> RelayStatus.Rule {
        let statistics = self.meter.statistics
        var flows = FlowsStatus(self.ledger, clock)
        let open = self.openFlows(limit: FlowsStatus.listLimit).map { FlowsStatus.Flow($0, clock) }
        let traffic = self.flows.all.reduce(into: FlowTraffic()) { $0 += $1.flow.traffic }
        flows.add(.udp, count: self.flows.count, traffic: traffic, flows: open)
        return RelayStatus.Rule(
            kind: .udp, id: self.statusID, listening: self.announcedAddress.authority,
            target: self.rule.target.authority, pool: self.channels.status(clock), flowCount: self.flows.count,
            waiting: self.waiting.count, traffic: self.traffic,
            drops: RelayDropReason.allCases.reduce(into: [:]) { $0[$1] = statistics[$1] }, flows: flows)
    }

    var traffic: FlowTraffic {
        FlowTraffic(
            sent: self.meter.statistics.toTarget.bytes, received: self.meter.statistics.fromTarget.bytes)
    }
}

extension TCPWorker {
    func status(_ clock: StatusClock) -> RelayStatus.Rule {
        RelayStatus.Rule(
            kind: .tcp, id: self.statusID, listening: self.announcedAddress.authority,
            target: self.rule.target.authority, pool: self.pool.channels.status(clock), flowCount: self.ledger.count,
            waiting: 0, traffic: self.traffic, drops: [:], flows: FlowsStatus(self.ledger, clock))
    }

    var traffic: FlowTraffic {
        self.ledger.totals.values.reduce(into: FlowTraffic()) { $0 += $1.traffic }
    }
}
