/// Walks over the elements of a DER encoding (X.690) without going into them.
///
/// Lengths are definite and written in the shortest way, and tags have one byte: that is all that certificates need.
struct DERReader {
    /// One element.
    struct Element: Equatable {
        let tag: UInt8
        /// With tag and length.
        let whole: ArraySlice<UInt8>
        let content: ArraySlice<UInt8>
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        self.rest = bytes
    }

    /// Whether everything has been read.
    var isAtEnd: Bool { self.rest.isEmpty }

    /// The tag of the next element; nil at the end.
    var nextTag: UInt8? { self.rest.first }

    /// The next element, which must have this tag; nil when it is another one, or is cut off or malformed.
    mutating func next(tag: UInt8) -> Element? {
        guard self.nextTag == tag, let (headerLength, length) = Self.header(self.rest),
            self.rest.count - headerLength >= length
        else { return nil }
        let whole = self.rest.prefix(headerLength + length)
        self.rest = self.rest.dropFirst(whole.count)
        return Element(tag: tag, whole: whole, content: whole.dropFirst(headerLength))
    }

    /// The number of bytes of tag and length, and the length that they say; at most 65 535.
    private static func header(_ bytes: ArraySlice<UInt8>) -> (count: Int, length: Int)? {
        let bytes = Array(bytes.prefix(4))
        guard bytes.count >= 2 else { return nil }
        switch bytes[1] {
        case 0..<0x80:
            return (2, Int(bytes[1]))
        case 0x81 where bytes.count >= 3 && bytes[2] >= 0x80:
            return (3, Int(bytes[2]))
        case 0x82 where bytes.count >= 4 && bytes[2] > 0:
            return (4, Int(bytes[2]) << 8 | Int(bytes[3]))
        default:
            return nil
        }
    }
}
