import ClientSupport
package import CommandSupport
import FlowLedger

extension TunnelPool {
    /// How the connections through this pool are getting on, for the live line.
    package var liveStatus: LiveStatus {
        var status = self.channels.liveStatus
        for totals in self.ledger.totals.values {
            status.bytesOut &+= totals.traffic.sent
            status.bytesIn &+= totals.traffic.received
        }
        status.connections = self.ledger.count
        return status
    }
}
