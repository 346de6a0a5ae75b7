import LibC

/// The wall clock, which expiry times and tokens are told in.
package enum UnixTime {
    /// Milliseconds since 1970.
    package static var milliseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    /// Seconds since 1970.
    package static var seconds: UInt64 { Self.milliseconds / 1000 }

    /// A time in seconds since 1970 as `2026-12-09T08:15:00Z`.
    package static func text(_ seconds: Int64) -> String {
        "\(LogTimestamp(timespec(tv_sec: Int(seconds), tv_nsec: 0)).wholeSeconds)"
    }
}
