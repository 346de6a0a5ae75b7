import NIOCore

/// A token bucket, told as the time at which the next datagram may go (ITU-T I.371 calls it a virtual schedule).
///
/// A datagram goes when the bucket holds anything, and may take more than is in it: what follows waits for that. So
/// datagrams larger than the bucket go, too, and the rate is kept over time.
struct RatePacer {
    private let rate: BitRate
    /// How much of its rate the bucket holds.
    private let burst: TimeAmount
    /// From when on something may go.
    private(set) var readyAt: NIODeadline

    /// A full bucket: what the rate brings in 20 ms, and 16 KiB at least, so that timers of a millisecond keep the rate.
    init(_ rate: BitRate, at now: NIODeadline) {
        self.rate = rate
        self.burst = max(.milliseconds(20), Self.time(for: 16 * 1024, at: rate))
        self.readyAt = Self.earliest(now, self.burst)
    }

    /// `bytes` have gone, 0…65 507.
    mutating func take(_ bytes: Int, at now: NIODeadline) {
        self.readyAt = max(self.readyAt, Self.earliest(now, self.burst)) + Self.time(for: bytes, at: self.rate)
    }

    private static func earliest(_ now: NIODeadline, _ burst: TimeAmount) -> NIODeadline {
        // Not before the clock's beginning.
        now > .uptimeNanoseconds(0) + burst ? now - burst : .uptimeNanoseconds(0)
    }

    /// 2³¹ bytes at 1 bit/s stay inside 64 bits.
    private static func time(for bytes: Int, at rate: BitRate) -> TimeAmount {
        let bitNanoseconds = UInt64(clamping: bytes) * 8 * 1_000_000_000
        return .nanoseconds(Int64(clamping: bitNanoseconds / rate.bitsPerSecond))
    }
}
