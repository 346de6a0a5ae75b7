package import NIOCore

extension FlowTable {
    /// Removes the flow that is missed least, for a new one: one that has been idle for a second and has no answer, otherwise
    /// one that has been idle for two. Nil when there is none: more are in use than there may be.
    @inlinable
    package mutating func makeRoom(at now: NIODeadline) -> (key: Key, value: Value)? {
        self.removeLeastUsed(unansweredBefore: now - .seconds(1), answeredBefore: now - .seconds(2))
    }
}
