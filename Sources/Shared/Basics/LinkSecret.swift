/// The secret in a link `rtun://host:port/?…#secret`: where it stands in text, so that nobody gets to see it.
package enum LinkSecret {
    /// What a link begins with, in whatever case.
    package static let scheme = Array("rtun://".utf8)

    /// `text` with three asterisks in place of the secret of each link in it.
    package static func masked(in text: String) -> String {
        let bytes = Array(text.utf8)
        let ranges = self.ranges(in: bytes)
        guard !ranges.isEmpty else { return text }
        var shown: [UInt8] = []
        var start = 0
        for range in ranges {
            shown += bytes[start..<range.lowerBound] + Array("***".utf8)
            start = range.upperBound
        }
        return String(decoding: shown + bytes[start...], as: UTF8.self)
    }

    /// Where the first link begins.
    package static func start(in text: some RandomAccessCollection<UInt8>) -> Int? {
        let bytes = Array(text)
        return (0..<max(0, bytes.count - Self.scheme.count)).first { Self.begins(bytes, at: $0) }
    }

    private static func begins(_ bytes: [UInt8], at place: Int) -> Bool {
        bytes[place..<place + Self.scheme.count].elementsEqual(Self.scheme) { $0 | 0x20 == $1 | 0x20 }
    }

    /// Where the secrets are: behind the `#` of each link, to the end of the word.
    package static func ranges(in text: some RandomAccessCollection<UInt8>) -> [Range<Int>] {
        let bytes = Array(text)
        var ranges: [Range<Int>] = []
        var place = 0
        while place + Self.scheme.count <= bytes.count {
            guard Self.begins(bytes, at: place) else {
                place += 1
                continue
            }
            let end = bytes[place...].firstIndex(where: Self.endsWord) ?? bytes.count
            if let mark = bytes[place..<end].firstIndex(of: UInt8(ascii: "#")), mark + 1 < end {
                ranges.append(mark + 1..<end)
            }
            place = end
        }
        return ranges
    }

    /// White space, control characters and quotation marks, which a link has none of.
    private static func endsWord(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"")
    }
}
