import NIOCore

/// The connection IDs that the peer is given to use (RFC 9000 §5.1.1), as far as a server that demultiplexes by them has not
/// heard of them yet.
///
/// Each is kept until the peer has acknowledged it, and one takes the place of each that the peer retires: a peer that goes
/// on retiring and acknowledges nothing has no honest purpose.
struct LocalConnectionIDs {
    /// So many may be made in a period. An honest peer needs one or two for each move of its path.
    static let maximumIssued = 256
    static let period = TimeAmount.seconds(10)

    private(set) var issued: [ConnectionID] = []
    private(set) var retired: [ConnectionID] = []
    private var countInPeriod = 0
    private var periodStart: NIODeadline

    init(at now: NIODeadline) { self.periodStart = now }

    /// Those that a server's connection begins with.
    mutating func begin(with ids: [ConnectionID]) { self.issued = ids }

    /// A new one comes into use; false when the peer has had too many.
    mutating func issue(_ id: ConnectionID, at now: NIODeadline) -> Bool {
        if now - self.periodStart > Self.period {
            self.periodStart = now
            self.countInPeriod = 0
        }
        self.countInPeriod += 1
        guard self.countInPeriod <= Self.maximumIssued else { return false }
        self.issued.append(id)
        return true
    }

    /// The peer uses it no more.
    mutating func retire(_ id: ConnectionID) { self.retired.append(id) }

    /// What has changed since the last call; nil: nothing.
    mutating func takeChanges() -> (issued: [ConnectionID], retired: [ConnectionID])? {
        guard !self.issued.isEmpty || !self.retired.isEmpty else { return nil }
        defer {
            self.issued.removeAll()
            self.retired.removeAll()
        }
        return (self.issued, self.retired)
    }
}
