import Basics

/// The argument list as the system shows it to everybody (`ps`; `/proc/PID/cmdline` on Linux).
package enum ArgumentList {
    /// The options whose values must not stay visible.
    static let secretOptions = ["--secret", "--e2e-secret", "--auth"]

    /// Overwrites the values of secret options, and the secrets in links, with asterisks, in the memory that the system shows others.
    ///
    /// Call it once, at start, before other threads exist and after `CommandLine.arguments` was read for the first time.
    package static func wipeSecrets() {
        guard let region = ArgumentMemory.region() else { return }
        for range in Self.secretRanges(in: UnsafeRawBufferPointer(region)) {
            for index in range {
                region[index] = UInt8(ascii: "*")
            }
        }
    }

    /// Where the values of secret options, and the secrets in links, lie in `bytes`, a sequence of NUL-terminated arguments.
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
                ranges += LinkSecret.ranges(in: argument).map { start + $0.lowerBound..<start + $0.upperBound }
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
}
