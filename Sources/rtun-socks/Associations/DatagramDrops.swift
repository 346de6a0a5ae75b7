import CommandSupport
import Logging
import NIOCore

/// Counts and tells of the datagrams of SOCKS clients that come to nothing here. Belongs to the event loop of the clients.
final class DatagramDrops {
    /// Why a datagram was dropped. The raw values stand in logs.
    enum Reason: String, CaseIterable {
        /// It came from another address than the client's, or another port than that of its first datagram.
        case foreign
        /// It is a fragment of SOCKS (RFC 1928 §7), which are not put together here.
        case fragment
        case malformed
        /// Its payload is larger than what is carried.
        case oversize
        /// This machine's kernel did not take it.
        case notSent = "not_sent"
    }

    private(set) var counts: [Reason: UInt64] = [:]
    private let log: DropLog<Reason>

    init(eventLoop: any EventLoop, logger: Logger) {
        self.log = DropLog(eventLoop: eventLoop, logger: logger)
    }

    /// `details`: what is worth knowing, beyond the reason.
    func dropped(_ reason: Reason, count: Int = 1, _ details: @autoclosure () -> Logger.Metadata) {
        self.counts[reason, default: 0] += UInt64(count)
        self.log.dropped(reason, details())
    }
}

@available(*, unavailable)
extension DatagramDrops: Sendable {}
