import Admin
import FlowLedger
import NIOCore
import PeerChannel
import PeerSupport

extension PeerAcceptor {
    /// What the event loops have, put together.
    func status(on eventLoop: any EventLoop) -> EventLoopFuture<AgentStatus.Part> {
        let parts = self.onEachLoop { ledger, past, peers -> AgentStatus.Part in
            let clock = StatusClock(.now())
            var part = AgentStatus.Part()
            part.flows = FlowsStatus(ledger, clock)
            part.totals = past.totals
            part.drops = past.drops
            for peer in peers {
                let status = peer.status(clock)
                part.peers.append(status)
                part.totals += peer.peerChannel.totals
                part.drops.merge(peer.drops) { $0 &+ $1 }
                if case .relay = status.kind {
                    let flows = peer.openFlows(limit: FlowsStatus.listLimit).map { FlowsStatus.Flow($0, clock) }
                    part.flows.add(.udp, count: status.flows, traffic: peer.unledgeredTraffic, flows: flows)
                }
            }
            return part
        }
        return EventLoopFuture.whenAllSucceed(parts, on: eventLoop).map { parts in
            var all = parts.reduce(into: AgentStatus.Part()) { $0 += $1 }
            // The longest here first.
            all.peers.sort { ($0.channel.since, $0.channel.peer) < ($1.channel.since, $1.channel.peer) }
            return all
        }
    }

    /// What has passed, of each peer.
    func traffic(on eventLoop: any EventLoop) -> EventLoopFuture<Traffic> {
        let parts = self.onEachLoop { ledger, _, peers -> Traffic in
            var traffic = Traffic(total: ledger.totals.values.reduce(into: FlowTraffic()) { $0 += $1.traffic })
            for peer in peers {
                traffic.total += peer.unledgeredTraffic
                traffic.parts["\(peer.peerChannel.peerID)"] = peer.traffic
            }
            return traffic
        }
        return EventLoopFuture.whenAllSucceed(parts, on: eventLoop).map { parts in
            parts.reduce(into: Traffic()) { all, part in
                all.total += part.total
                all.parts.merge(part.parts) { $1 }
            }
        }
    }

    private func onEachLoop<Value: Sendable>(
        _ body: @escaping @Sendable (FlowLedger, PastChannels, [any AcceptedPeer]) -> Value
    ) -> [EventLoopFuture<Value>] {
        let slots = self.slots
        return zip(self.ledgers, self.past).map { ledger, past in
            let own = slots.filter { $0.eventLoop === ledger.eventLoop }
            return ledger.eventLoop.submit { body(ledger.value, past.value, own.compactMap(\.peer)) }
        }
    }
}
