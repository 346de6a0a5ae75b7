import NIOCore

/// Finds out when a connection has moved to another path, which two signs tell of: the owner of the path says so, and (at a
/// server) datagrams come in elsewhere. What both say within a moment of each other is the same move.
///
/// Moves happen below QUIC: ICE validates paths and chooses among them, the bridge needs no validation, and the addresses
/// and connection ids that QUIC sees stay the same. What QUIC has to do about a move is what RFC 9000 §9.4 asks for:
/// round-trip time and congestion control start anew. Each move does so, so that none may be counted twice.
struct PathMoves {
    private enum Sign {
        case owner
        case arrival
    }

    /// For how long after a move datagrams may still come in by the path before. A bridge keeps them for less.
    static let overtakenTime = TimeAmount.seconds(1)

    /// The owner's name for the path that datagrams came in by last.
    private(set) var arrival: UInt32?
    /// Those before, and when they were left; the last few.
    private var leftArrivals: [(number: UInt32, at: NIODeadline)] = []
    /// What told of the last move, unless both signs have.
    private var lastSign: (sign: Sign, at: NIODeadline)?
    /// How often datagrams have gone another way.
    private(set) var count: UInt32 = 0
    /// Whether there has been a move since `takeReset`.
    private var wantsReset = false

    /// The owner says that datagrams go another way from now on.
    mutating func ownerTells(at now: NIODeadline) {
        self.moved(.owner, at: now)
    }

    /// The datagrams that follow have come in there; equal numbers are the same path. What comes during the handshake
    /// counts as one path.
    ///
    /// Datagrams that were overtaken on the way by the first ones of a new path make it neither old again nor new once more.
    mutating func arrived(on arrival: UInt32, isHandshakeComplete: Bool, at now: NIODeadline) {
        guard arrival != self.arrival else { return }
        self.leftArrivals.removeAll { now - $0.at >= Self.overtakenTime }
        guard !self.leftArrivals.contains(where: { $0.number == arrival }) else { return }
        let last = self.arrival
        self.arrival = arrival
        guard let last, isHandshakeComplete else { return }
        self.leftArrivals.append((last, now))
        self.moved(.arrival, at: now)
    }

    /// Whether congestion control is to start anew now; once for all moves before. Not to be asked before the handshake is
    /// complete: there is nothing to unlearn but a round-trip time, and packets of all three spaces may be in flight.
    mutating func takeReset() -> Bool {
        defer { self.wantsReset = false }
        return self.wantsReset
    }

    private mutating func moved(_ sign: Sign, at now: NIODeadline) {
        if let last = self.lastSign, last.sign != sign, now - last.at < Self.overtakenTime {
            self.lastSign = nil
            return
        }
        self.lastSign = (sign, now)
        self.count &+= 1
        self.wantsReset = true
    }
}
