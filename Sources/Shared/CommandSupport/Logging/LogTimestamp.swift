import LibC
import NIOCore

/// A point in time as log lines show it: UTC, RFC 3339, milliseconds.
struct LogTimestamp: CustomStringConvertible {
    private let time: timespec

    init(_ time: timespec) {
        self.time = time
    }

    /// The time `interval` later, or earlier if that is negative.
    func advanced(by interval: TimeAmount) -> LogTimestamp {
        let second: Int64 = 1_000_000_000
        let nanoseconds = Int64(self.time.tv_nsec) + interval.nanoseconds % second
        let carry = nanoseconds < 0 ? -1 : nanoseconds / second
        var moved = self.time
        moved.tv_sec += Int(interval.nanoseconds / second + carry)
        moved.tv_nsec = Int(nanoseconds - carry * second)
        return LogTimestamp(moved)
    }

    static func now() -> LogTimestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return LogTimestamp(time)
    }

    var description: String {
        var seconds = self.time.tv_sec
        var calendar = tm()
        gmtime_r(&seconds, &calendar)
        let date = "\(Int(calendar.tm_year) + 1900)-\(Self.pad(calendar.tm_mon + 1))-\(Self.pad(calendar.tm_mday))"
        let time = "\(Self.pad(calendar.tm_hour)):\(Self.pad(calendar.tm_min)):\(Self.pad(calendar.tm_sec))"
        return "\(date)T\(time).\(Self.pad(Int32(self.time.tv_nsec / 1_000_000), to: 3))Z"
    }

    private static func pad(_ value: Int32, to width: Int = 2) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
