import Basics
package import Logging
package import PeerPath
package import UDPRelay

extension DatagramChannel {
    /// What a line of statistics says about this end of a relay, `event=relay.stats`.
    ///
    /// - Parameters:
    ///   - flows: how many there are now.
    ///   - path: how the peer is reached.
    package func metadata(_ relay: RelayStatistics, flows: Int, path: SelectedPath?) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "event": "relay.stats", "flows": .stringConvertible(flows),
            "limit": .stringConvertible(self.maximumPayload),
        ]
        for (key, value) in relay.fields { metadata[key] = .stringConvertible(value) }
        if let path {
            metadata["path"] = "\(path.name)"
            metadata["remote"] = "\(path.remoteDescription)"
        }
        if let roundTripTime = self.roundTripTime {
            metadata["rtt_ms"] = .stringConvertible(roundTripTime.loggedMilliseconds)
        }
        let channel = self.statistics
        metadata["records_out"] = .stringConvertible(channel.recordsSent)
        metadata["records_in"] = .stringConvertible(channel.recordsReceived)
        let troubles = [
            ("records_rejected", channel.rejectedDatagrams), ("records_malformed", channel.malformedRecords),
            ("records_unsent", channel.unsentRecords),
        ]
        for (key, count) in troubles where count > 0 { metadata[key] = .stringConvertible(count) }
        return metadata
    }
}
