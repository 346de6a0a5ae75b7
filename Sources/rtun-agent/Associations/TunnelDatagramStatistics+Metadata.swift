import Logging
import Tunnel

extension TunnelDatagramStatistics {
    /// For a log line: *in* is what came from the client, *out* what went to it. Drops appear only if there were any.
    var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [
            "packets_in": .stringConvertible(self.received), "packets_out": .stringConvertible(self.sent),
        ]
        let drops = [
            ("congested", self.congested), ("incomplete", self.incomplete), ("foreign", self.foreign),
            ("oversize", self.oversize),
        ]
        for (reason, count) in drops where count > 0 { metadata["dropped_\(reason)"] = .stringConvertible(count) }
        return metadata
    }
}
