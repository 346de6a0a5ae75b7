import NIOCore

/// Takes a message's content out of what arrives.
struct HTTPContentReader {
    enum Piece {
        case data(ByteBuffer)
        /// All of it is there; what follows in the buffer belongs to the next message.
        case end(trailer: HTTPFields)
    }

    private enum State {
        case bytes(left: Int)
        case untilClose
        case chunked(HTTPChunkedReader)
    }

    private var state: State

    init(_ length: HTTPContentLength) {
        self.state =
            switch length {
            case .nothing: .bytes(left: 0)
            case .bytes(let count): .bytes(left: count)
            case .chunked: .chunked(HTTPChunkedReader())
            case .untilClose: .untilClose
            }
    }

    /// Whether the connection's end is the content's.
    var endsWithConnection: Bool {
        if case .untilClose = self.state { true } else { false }
    }

    /// The next piece, which is taken from the front of `bytes`; nil when there is none yet. Not called after the end.
    mutating func read(_ bytes: inout ByteBuffer) throws(HTTPViolation) -> Piece? {
        switch self.state {
        case .bytes(left: 0):
            return .end(trailer: HTTPFields())
        case .bytes(let left):
            guard let data = bytes.readSome(upTo: left) else { return nil }
            self.state = .bytes(left: left - data.readableBytes)
            return .data(data)
        case .untilClose:
            return bytes.readSome(upTo: .max).map { .data($0) }
        case .chunked(var reader):
            let piece = try reader.read(&bytes)
            self.state = .chunked(reader)
            return piece
        }
    }
}

extension ByteBuffer {
    /// Takes what there is, up to a limit; nil when that is nothing.
    mutating func readSome(upTo limit: Int) -> ByteBuffer? {
        self.readableBytes > 0 ? self.readSlice(length: min(limit, self.readableBytes)) : nil
    }
}
