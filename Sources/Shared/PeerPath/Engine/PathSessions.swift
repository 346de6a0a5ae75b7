import ICE
import NIOCore

/// The ICE sessions of a channel that live: the newest first, and while that one has no path that works, one before it that has.
struct PathSessions {
    /// Longer than it takes to notice that the newest session's path is dead.
    private static let retirementTime = TimeAmount.seconds(15)

    private(set) var list: [PathSession] = []
    /// The newest generation that both sides know.
    var generation: UInt32 = 0
    /// Whether the newest session has found a direct path at any time.
    var hasFoundDirectPath = false
    /// When the session before the newest is closed: the other side may not have followed yet, or not at all when the answer
    /// to a restart was lost.
    private(set) var retirementAt: NIODeadline?
    /// Of the last one that has failed.
    private var lastReport: ICEReport?

    var newest: PathSession? { self.list.first }
    var isEmpty: Bool { self.list.isEmpty }
    /// What was tried so far; nil when no direct path was looked for.
    var report: ICEReport? { self.newest?.report ?? self.lastReport }

    func index(of generation: UInt32) -> Int? { self.list.firstIndex { $0.generation == generation } }

    subscript(index: Int) -> PathSession {
        // In place: each datagram asks, and a session is large.
        _read { yield self.list[index] }
        _modify { yield &self.list[index] }
    }

    /// A session becomes the newest. The one before stays as long as it is the only one with a path.
    ///
    /// - Returns: the generation of one that is to be closed.
    mutating func adopt(_ session: PathSession) -> UInt32? {
        let keepsOldest = self.list.count > 1 && self.list[0].confirmed == nil && self.list[1].confirmed != nil
        let closed = self.list.count > 1 ? self.list.remove(at: keepsOldest ? 0 : 1).generation : nil
        self.list.insert(session, at: 0)
        return closed
    }

    /// A session has failed.
    mutating func remove(_ generation: UInt32) {
        if let index = self.index(of: generation) { self.lastReport = self.list.remove(at: index).report }
    }

    /// To be called when paths have changed: once the newest session has a path, the one before is kept for a while only.
    mutating func considerRetirement(at now: NIODeadline) {
        guard self.newest?.confirmed != nil, self.list.count > 1, self.retirementAt == nil else { return }
        self.retirementAt = now + Self.retirementTime
    }

    /// Returns the generation of a session whose time is over.
    mutating func retire(at now: NIODeadline) -> UInt32? {
        guard let retirementAt = self.retirementAt, now >= retirementAt else { return nil }
        self.retirementAt = nil
        guard self.newest?.confirmed != nil, self.list.count > 1 else { return nil }
        return self.list.removeLast().generation
    }

    /// Removes all. Returns their generations.
    mutating func removeAll() -> [UInt32] {
        self.lastReport = self.report
        defer { self.list = [] }
        return self.list.map(\.generation)
    }
}
