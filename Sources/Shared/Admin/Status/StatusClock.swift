import CommandSupport
package import NIOCore

/// One moment by both clocks: that of the event loops, and that which people have.
package struct StatusClock: Sendable {
    package let now: NIODeadline
    /// Unix time.
    package let milliseconds: UInt64

    /// This moment.
    ///
    /// - Parameter now: by the clock of an event loop.
    package init(_ now: NIODeadline) {
        self.now = now
        self.milliseconds = UnixTime.milliseconds
    }

    /// A moment of the past in milliseconds of Unix time.
    package func unixTime(of moment: NIODeadline) -> UInt64 {
        let age = UInt64(max(0, (self.now - moment).nanoseconds / 1_000_000))
        return self.milliseconds > age ? self.milliseconds - age : 0
    }
}
