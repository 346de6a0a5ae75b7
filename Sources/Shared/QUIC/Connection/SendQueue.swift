import DequeModule

/// The streams that have something to send, in the order in which they get their turn.
///
/// A stream that was idle and has little to say goes before those with a backlog, once: a request does not wait behind
/// a download. With more to say it takes its turn among the others, one packet each.
struct SendQueue {
    /// Where a stream is.
    enum Place {
        case none
        case prompt
        case bulk
    }

    /// Most that goes out before bulk data, in bytes: what fits into one packet.
    private static let promptBytes = 1200

    /// Streams with something to send whose window is used up; they are in no queue.
    var blockedCount = 0
    private var prompt: Deque<QUICStream> = []
    private var bulk: Deque<QUICStream> = []

    var isEmpty: Bool { self.prompt.isEmpty && self.bulk.isEmpty }

    /// Adds a stream with something to send, unless it waits already.
    mutating func append(_ stream: QUICStream) {
        guard stream.place == .none else { return }
        if stream.sendBuffer.unsentBytes <= Self.promptBytes {
            stream.place = .prompt
            self.prompt.append(stream)
        } else {
            stream.place = .bulk
            self.bulk.append(stream)
        }
    }

    /// Whether a stream waits that was idle and has little to say.
    var hasPrompt: Bool { !self.prompt.isEmpty }

    /// Whose turn it is.
    var next: QUICStream? {
        self.prompt.first ?? self.bulk.first
    }

    /// `next` had its turn. It gets another one behind the others if it `continues`.
    mutating func endTurn(continues: Bool) {
        let isPrompt = !self.prompt.isEmpty
        if isPrompt, let stream = self.prompt.popFirst() {
            stream.place = continues ? .bulk : .none
            if continues { self.bulk.append(stream) }
        } else if self.bulk.count > 1 || !continues, let stream = self.bulk.popFirst() {
            stream.place = continues ? .bulk : .none
            if continues { self.bulk.append(stream) }
        }
    }

    /// Whether streams with a backlog have more than `limit` bytes to send.
    func bulkExceeds(_ limit: Int) -> Bool {
        var bytes = 0
        return self.bulk.contains { stream in
            bytes += stream.sendBuffer.unsentBytes
            return bytes > limit
        }
    }

    mutating func removeAll() {
        while !self.prompt.isEmpty { self.endTurn(continues: false) }
        while !self.bulk.isEmpty { self.endTurn(continues: false) }
    }
}
