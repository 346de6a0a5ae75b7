import Logging

/// What has become of the datagrams that a client or an agent wanted to send over the bridge; counts of datagrams.
package struct BridgeStatistics: Hashable, Sendable {
    /// Handed to the control connection.
    package var sent: UInt64 = 0
    /// Too many waited.
    package var droppedFull: UInt64 = 0
    /// They had waited for too long.
    package var droppedTooOld: UInt64 = 0
    /// There was no control connection, or its server carries nothing.
    package var droppedWithoutConnection: UInt64 = 0

    package init() {}

    /// For a line of the log, `event=bridge.stats`. What was dropped is there only when it is not 0.
    var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = ["event": "bridge.stats", "datagrams": .stringConvertible(self.sent)]
        for (key, value) in [
            ("dropped_queue_full", self.droppedFull), ("dropped_too_old", self.droppedTooOld),
            ("dropped_no_connection", self.droppedWithoutConnection),
        ] where value > 0 {
            metadata[key] = .stringConvertible(value)
        }
        return metadata
    }
}
