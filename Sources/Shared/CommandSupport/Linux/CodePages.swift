import LibC
import OperatingSystem

/// The pages of program code that the process has mapped.
package enum CodePages {
    /// Unmaps the code that only starting up needed: option parsing, key derivation, the search for protocol
    /// conformances touch most of the program once. What is needed again comes back from the page cache.
    ///
    /// Worth it for a program that then sits idle: the kernel would do it too, but only when memory runs short.
    package static func release() {
        guard let maps = try? SmallFile.contents(of: "/proc/self/maps", limit: 1024 * 1024) else { return }
        for line in maps.split(separator: UInt8(ascii: "\n")) {
            guard let range = Self.codeRange(of: line),
                let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound)
            else { continue }
            // Private mappings of a file that nobody writes to: dropping them loses nothing.
            madvise(start, Int(range.upperBound - range.lowerBound), MADV_DONTNEED)
        }
    }

    /// The addresses of a line of `/proc/self/maps` (proc(5)) that describes executable, unwritable memory mapped from a
    /// file, else nil: `55d0-55e0 r-xp 00001000 08:01 1234 /usr/bin/rtun-agent`.
    static func codeRange(of line: some Collection<UInt8>) -> Range<UInt>? {
        let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5, omittingEmptySubsequences: true)
        guard fields.count == 6, fields[1].elementsEqual("r-xp".utf8),
            fields[5].drop(while: { $0 == UInt8(ascii: " ") }).first == UInt8(ascii: "/")
        else { return nil }
        let ends = fields[0].split(separator: UInt8(ascii: "-")).map {
            UInt(String(decoding: $0, as: UTF8.self), radix: 16)
        }
        guard ends.count == 2, let start = ends[0], let end = ends[1], start < end else { return nil }
        return start..<end
    }
}
