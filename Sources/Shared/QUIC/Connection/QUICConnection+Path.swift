internal import CNgtcp2
import NIOCore

/// Moves from one path to another, which happen below QUIC: ICE validates paths and chooses among them, the bridge needs no
/// validation, and the addresses and connection ids that QUIC sees stay the same. What QUIC has to do about a move is what
/// RFC 9000 §9.4 asks for: round-trip time and congestion control start anew.
extension QUICConnection {
    /// What tells of a move.
    enum MoveSign {
        /// The owner of the path says so.
        case owner
        /// Datagrams come in elsewhere (servers).
        case arrival
    }

    /// Datagrams go another way from now on.
    func pathChanged(at now: NIODeadline) {
        self.moved(.owner, at: now)
    }

    /// A server: where the datagrams that follow have come in; equal numbers are the same path. What came during the
    /// handshake counts as one path.
    ///
    /// Datagrams that were overtaken on the way by the first ones of a new path make it neither old again nor new once more:
    /// each change starts congestion control anew.
    func arrived(on arrival: UInt32, at now: NIODeadline) {
        guard self.context.role == .server, arrival != self.arrival else { return }
        self.leftArrivals.removeAll { now - $0.at >= Self.overtakenTime }
        guard !self.leftArrivals.contains(where: { $0.number == arrival }) else { return }
        let last = self.arrival
        self.arrival = arrival
        guard let last, self.isHandshakeComplete else { return }
        self.leftArrivals.append((last, now))
        self.moved(.arrival, at: now)
    }

    /// What the owner says and what datagrams show within a moment of each other is the same move.
    private func moved(_ sign: MoveSign, at now: NIODeadline) {
        if let last = self.lastMove, last.sign != sign, now - last.at < Self.overtakenTime {
            self.lastMove = nil
            return
        }
        self.lastMove = (sign, now)
        self.moveCount &+= 1
        self.wantsReset = true
        self.resetCongestionIfPossible(at: now)
    }

    /// Called again when the handshake is complete. Before that there is nothing to unlearn but a round-trip time, and packets
    /// of all three spaces may be in flight.
    func resetCongestionIfPossible(at now: NIODeadline) {
        guard self.wantsReset, self.isHandshakeComplete, case .active = self.state else { return }
        self.wantsReset = false
        rtun_ngtcp2_conn_reset_congestion(self.handle, now.uptimeNanoseconds)
    }

    /// For how long after a change datagrams may still come in by the path before. A bridge keeps them for less.
    private static var overtakenTime: TimeAmount { .seconds(1) }
}
