import OperatingSystem
import LibC

/// Where the system has the arguments of this process from.
enum ArgumentMemory {
    /// The memory that the kernel keeps as this process's arguments, each ended by NUL.
    ///
    /// Swift's `CommandLine.unsafeArgv` is a copy on Linux, so the place is read from `/proc/self/stat`: fields 48
    /// (`arg_start`) and 49 (`arg_end`) of proc(5). It is part of the initial stack, which is writable and stays mapped.
    static func region() -> UnsafeMutableRawBufferPointer? {
        guard
            let stat = try? SmallFile.contents(of: "/proc/self/stat", limit: 4096),
            // Field 2 is the program's name in parentheses and may contain anything; the last ")" ends it.
            let nameEnd = stat.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = stat[stat.index(after: nameEnd)...].split(separator: UInt8(ascii: " "))
        // The first field after the name is number 3.
        guard
            fields.count > 46,
            let start = UInt(String(decoding: fields[45], as: UTF8.self)),
            let end = UInt(String(decoding: fields[46], as: UTF8.self)),
            start < end,
            let pointer = UnsafeMutableRawPointer(bitPattern: start)
        else { return nil }
        return UnsafeMutableRawBufferPointer(start: pointer, count: Int(end - start))
    }
}
