import NIOCore

/// Reads content in chunks (RFC 9112 §7.1):
///
///     chunk-size [ extensions ] CRLF  data CRLF   …   0 [ extensions ] CRLF  trailer fields  CRLF
///
/// Extensions are passed over: nobody knows what they mean at the next hop (RFC 9112 §7.1.1).
struct HTTPChunkedReader {
    private enum State {
        case size
        case data(left: Int)
        case dataEnd
        case trailer(HTTPHeadReader)
    }

    /// A line with a size and extensions has no more bytes than that.
    static let lineLimit = 4096

    private var state = State.size

    /// As of ``HTTPContentReader``.
    mutating func read(_ bytes: inout ByteBuffer) throws(HTTPViolation) -> HTTPContentReader.Piece? {
        while true {
            switch self.state {
            case .size:
                guard let size = try Self.readSize(&bytes) else { return nil }
                self.state = size > 0 ? .data(left: size) : .trailer(HTTPHeadReader())
            case .data(let left):
                guard let data = bytes.readSome(upTo: left) else { return nil }
                self.state = left > data.readableBytes ? .data(left: left - data.readableBytes) : .dataEnd
                return .data(data)
            case .dataEnd:
                guard try Self.readLineEnd(&bytes) else { return nil }
                self.state = .size
            case .trailer(var reader):
                let lines = try reader.read(&bytes)
                self.state = .trailer(reader)
                guard let lines else { return nil }
                do { return .end(trailer: try HTTPFields(lines)) } catch { throw .malformedTrailer }
            }
        }
    }

    private static func readLineEnd(_ bytes: inout ByteBuffer) throws(HTTPViolation) -> Bool {
        let view = bytes.readableBytesView.prefix(2)
        guard "\r\n".utf8.starts(with: view) else { throw .malformedChunk }
        guard view.count == 2 else { return false }
        bytes.moveReaderIndex(forwardBy: 2)
        return true
    }

    /// Takes a whole line; nil when it is not there yet.
    private static func readSize(_ bytes: inout ByteBuffer) throws(HTTPViolation) -> Int? {
        let view = bytes.readableBytesView.prefix(Self.lineLimit + 2)
        guard let end = view.firstIndex(where: HTTPText.isControl) else {
            guard view.count <= Self.lineLimit else { throw .malformedChunk }
            return nil
        }
        guard view[end] == HTTPText.carriageReturn, end - view.startIndex <= Self.lineLimit else {
            throw .malformedChunk
        }
        guard end + 1 < view.endIndex else { return nil }
        guard view[end + 1] == HTTPText.lineFeed else { throw .malformedChunk }
        let size = try Self.size(view[..<end])
        bytes.moveReaderIndex(forwardBy: end + 2 - view.startIndex)
        return size
    }

    /// `1*HEXDIG [ BWS ";" … ]`. Leading zeros are allowed, but nobody needs more digits than 64 bits have.
    private static func size(_ line: some Collection<UInt8>) throws(HTTPViolation) -> Int {
        let digits = line.prefix { HTTPText.isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0 | 0x20) }
        let extensions = line.dropFirst(digits.count)
        guard (1...16).contains(digits.count),
            extensions.isEmpty || extensions.drop(while: HTTPText.isBlank).first == HTTPText.semicolon,
            let size = UInt64(String(decoding: digits, as: UTF8.self), radix: 16).flatMap({ Int(exactly: $0) })
        else { throw .malformedChunk }
        return size
    }
}
