import LibC
import NIOCore

/// A point in time as log lines show it: UTC, RFC 3339, milliseconds; or the local time of day, for people.
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
        "\(self.date).\(Self.pad(Int32(self.time.tv_nsec / 1_000_000), to: 3))Z"
    }

    /// The same without a fraction.
    var wholeSeconds: String { "\(self.date)Z" }

    private var date: String {
        var seconds = self.time.tv_sec
        var calendar = tm()
        gmtime_r(&seconds, &calendar)
        let date = "\(Int(calendar.tm_year) + 1900)-\(Self.pad(calendar.tm_mon + 1))-\(Self.pad(calendar.tm_mday))"
        return "\(date)T\(Self.pad(calendar.tm_hour)):\(Self.pad(calendar.tm_min)):\(Self.pad(calendar.tm_sec))"
    }

    /// The local time as `12:04:07`, with the date in front (`Dec 1 12:04:07`) when that is not the one of `start`.
    func timeOfDay(since start: LogTimestamp) -> String {
        let (now, then) = (self.local, start.local)
        let time = "\(Self.pad(now.tm_hour)):\(Self.pad(now.tm_min)):\(Self.pad(now.tm_sec))"
        guard (now.tm_yday, now.tm_year) != (then.tm_yday, then.tm_year) else { return time }
        let month = Self.months.indices.contains(Int(now.tm_mon)) ? Self.months[Int(now.tm_mon)] : ""
        return "\(month) \(now.tm_mday) \(time)"
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private var local: tm {
        var seconds = self.time.tv_sec
        var calendar = tm()
        localtime_r(&seconds, &calendar)
        return calendar
    }

    private static func pad(_ value: Int32, to width: Int = 2) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
