import LibC
import OperatingSystem

/// What the system says of this process.
enum SystemUsage {
    /// A folder with an entry for each open file of the process that reads it (proc(5)).
    static let openFilesFolder = "/proc/self/fd"

    /// Resident memory: the second number of /proc/self/statm, in pages (proc(5)).
    static var residentBytes: UInt64? {
        guard let line = try? SmallFile.contents(of: "/proc/self/statm", limit: 4096) else { return nil }
        let numbers = line.split(separator: UInt8(ascii: " "))
        guard numbers.count > 1, let pages = UInt64(String(decoding: numbers[1], as: UTF8.self)) else { return nil }
        return pages * UInt64(max(0, sysconf(CInt(_SC_PAGESIZE))))
    }
}
