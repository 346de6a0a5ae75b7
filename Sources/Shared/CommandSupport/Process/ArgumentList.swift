import LibC

/// The argument list as the system shows it to everybody (`ps`, `/proc/PID/cmdline`).
package enum ArgumentList {
    /// The options whose values must not stay visible.
    static let secretOptions = ["--secret", "--e2e-secret", "--auth"]

    /// Overwrites the values of secret options with asterisks, in the memory that `/proc/self/cmdline` is read from.
    ///
    /// Call it once, at start, before other threads exist and after `CommandLine.arguments` was read for the first time.
    package static func wipeSecrets() {
        guard let region = Self.argumentMemory() else { return }
        for range in Self.secretRanges(in: UnsafeRawBufferPointer(region)) {
            for index in range {
                region[index] = UInt8(ascii: "*")
            }
        }
    }

    /// Where the values of secret options lie in `bytes`, a sequence of NUL-terminated arguments.
    static func secretRanges(in bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var nextIsSecret = false
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0) ?? bytes.count
            let argument = bytes[start..<end]
            if nextIsSecret {
                ranges.append(start..<end)
                nextIsSecret = false
            } else {
                for option in Self.secretOptions {
                    if argument.elementsEqual(option.utf8) {
                        nextIsSecret = true
                    } else if argument.starts(with: "\(option)=".utf8) {
                        ranges.append(start + option.utf8.count + 1..<end)
                    }
                }
            }
            start = end + 1
        }
        return ranges
    }

    /// The memory that the kernel keeps as this process's arguments.
    ///
    /// Swift's `CommandLine.unsafeArgv` is a copy on Linux, so the place is read from `/proc/self/stat`: fields 48
    /// (`arg_start`) and 49 (`arg_end`) of proc(5). It is part of the initial stack, which is writable and stays mapped.
    private static func argumentMemory() -> UnsafeMutableRawBufferPointer? {
        guard
            let stat = try? SmallFile.read("/proc/self/stat", limit: 4096),
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
