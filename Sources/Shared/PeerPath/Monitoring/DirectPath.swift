package import ICE
package import NIOCore
import STUN

/// A pair of candidates, and what is known of it as a path.
package struct DirectPath {
    /// What is known of whether it carries datagrams.
    package enum Standing: Hashable, Sendable {
        /// ICE has found it; nothing of full size has come back yet.
        case unconfirmed
        /// Full-size datagrams get through in both directions.
        case confirmed
        /// It was confirmed, and carries nothing now. It may come back while ICE has consent to use it (RFC 7675).
        case lost
    }

    package internal(set) var pair: ICECandidatePair
    package internal(set) var standing = Standing.unconfirmed
    var monitor: PathMonitor
    var segmentation = SegmentationProbe()

    init(pair: ICECandidatePair, monitor: PathMonitor) {
        self.pair = pair
        self.monitor = monitor
    }

    package var roundTripTime: TimeAmount? { self.monitor.roundTripTime ?? self.pair.roundTripTime }
    /// The largest datagram that it is known to carry, in bytes of UDP payload.
    package var limit: Int { self.monitor.limit }

    var description: SelectedPath { .direct(local: self.pair.local.address, remote: self.pair.remoteAddress) }

    mutating func answered(_ id: TransactionID, hasPadding: Bool, roundTripTime: TimeAmount, at now: NIODeadline) {
        self.segmentation.answered(id, at: now)
        self.monitor.answered(id, hasPadding: hasPadding, roundTripTime: roundTripTime, at: now)
    }

    mutating func handleTimeout(at now: NIODeadline) {
        self.monitor.handleTimeout(at: now)
        self.segmentation.handleTimeout(at: now)
    }

    var nextDeadline: NIODeadline {
        min(self.monitor.nextDeadline, self.segmentation.nextDeadline ?? .distantFuture)
    }
}
