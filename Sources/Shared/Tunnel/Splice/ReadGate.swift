/// Whether the TCP side is read on: not while the stream takes no more.
///
/// NIO asks to read after each read, which the splice has decided on already, and before it closes a channel for a write
/// that failed: what the other end sent before it broke off is read in that case only, and nothing may hold it back.
enum ReadGate {
    case open
    /// A wish to read waits until the stream takes more.
    case shut
    /// The same, just after a read: NIO's next question says nothing new.
    case shutAfterRead

    /// Somebody wants to read; returns whether to. `takesMore`: of the stream.
    mutating func wants(takesMore: Bool) -> Bool {
        self = takesMore ? .open : .shut
        return takesMore
    }

    /// A read is over, and another one wanted; returns whether to.
    mutating func readComplete(takesMore: Bool) -> Bool {
        self = takesMore ? .open : .shutAfterRead
        return takesMore
    }

    /// NIO wants to read; returns whether to.
    mutating func isAsked(takesMore: Bool) -> Bool {
        // It has a reason of its own.
        if self == .shut { return true }
        return self.wants(takesMore: takesMore)
    }
}
