import NIOCore

/// What has been heard of the peer, and since when something waits for an answer of it.
struct PeerContact {
    /// How long a peer may keep an acknowledgement back (`max_ack_delay`, RFC 9000 §18.2).
    private static let acknowledgementDelay = TimeAmount.milliseconds(25)

    /// Whether any packet of the peer has been read.
    private(set) var hasHeard = false
    /// When the last authentic packet came; at first, when the connection was made.
    private(set) var lastReceived: NIODeadline
    /// Since when packets wait for any sign of life; nil when none does.
    private(set) var unansweredSince: NIODeadline?

    init(at now: NIODeadline) { self.lastReceived = now }

    /// An authentic packet has come.
    mutating func heard(at now: NIODeadline) {
        self.hasHeard = true
        self.lastReceived = now
        self.unansweredSince = nil
    }

    /// Something has left that has to be acknowledged.
    mutating func sent(at now: NIODeadline) {
        if self.unansweredSince == nil { self.unansweredSince = now }
    }

    /// The connection is over: nothing waits any more.
    mutating func end() { self.unansweredSince = nil }

    /// Whether datagrams may leave together. What follows a silence leaves singly: probes that left together would get lost
    /// together where such sends do, and nothing would tell that what left singly arrives.
    func mayOffload(at now: NIODeadline, roundTrip: TimeAmount) -> Bool {
        guard let since = self.unansweredSince else { return true }
        return now - since < roundTrip * 2 + Self.acknowledgementDelay
    }
}
