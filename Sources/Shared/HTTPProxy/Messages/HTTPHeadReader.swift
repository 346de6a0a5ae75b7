import NIOCore

/// Finds the end of a head, or of a trailer, in what arrives, and takes it apart into lines.
///
/// Lines end with CRLF and with nothing else. RFC 9112 §2.2 allows a recipient to take a bare LF for the end of a line; some
/// do and some do not, so that a message with one can be read in two ways. Here it is an error, as a bare CR is.
struct HTTPHeadReader {
    /// What a head may have, its empty line included.
    static let limit = 64 * 1024

    /// How many bytes of the buffer were looked at, when it was not enough.
    private var scanned = 0

    /// The lines of the next head, which is taken from the front of `bytes` with its empty line; nil when it is not there
    /// as a whole, which takes nothing.
    mutating func read(_ bytes: inout ByteBuffer) throws(HTTPViolation) -> [ArraySlice<UInt8>]? {
        let end = try bytes.withUnsafeReadableBytes { bytes in self.end(in: bytes) }.get()
        guard let end, let head = bytes.readBytes(length: end) else { return nil }
        self.scanned = 0
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        while let end = head[start...].firstIndex(of: HTTPText.carriageReturn), end > start {
            lines.append(head[start..<end])
            start = end + 2
        }
        return lines
    }

    /// Behind the empty line. Goes on where it stopped the last time.
    private mutating func end(in bytes: UnsafeRawBufferPointer) -> Result<Int?, HTTPViolation> {
        var index = self.scanned
        while index < bytes.count, index < Self.limit {
            switch bytes[index] {
            case HTTPText.carriageReturn:
                guard index + 1 < bytes.count else {
                    self.scanned = index
                    return .success(nil)
                }
                guard bytes[index + 1] == HTTPText.lineFeed else { return .failure(.bareCarriageReturn) }
                let isEmptyLine = index == 0 || bytes[index - 1] == HTTPText.lineFeed
                index += 2
                guard index <= Self.limit else { return .failure(.headTooLarge) }
                if isEmptyLine { return .success(index) }
            case HTTPText.lineFeed:
                return .failure(.bareLineFeed)
            case 0:
                return .failure(.controlCharacter)
            default:
                index += 1
            }
        }
        self.scanned = index
        return index >= Self.limit ? .failure(.headTooLarge) : .success(nil)
    }
}
