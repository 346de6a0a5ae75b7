import NIOCore

/// How content is passed on.
enum HTTPContentWriter {
    /// As it is: a length was given, or the connection's end will be the content's.
    case plain
    case chunked

    /// The bytes for some content, which is not empty.
    func data(_ data: ByteBuffer) -> ByteBuffer {
        switch self {
        case .plain:
            return data
        case .chunked:
            var chunk = ByteBuffer()
            chunk.reserveCapacity(data.readableBytes + 20)
            chunk.writeString(String(data.readableBytes, radix: 16))
            chunk.writeStaticString("\r\n")
            chunk.writeImmutableBuffer(data)
            chunk.writeStaticString("\r\n")
            return chunk
        }
    }

    /// The bytes for the content's end; nil when it needs none.
    func end(trailer: HTTPFields) -> ByteBuffer? {
        switch self {
        case .plain:
            return nil
        case .chunked:
            var end = ByteBuffer(string: "0\r\n")
            for field in HTTPHopByHop.passedOn(ofTrailer: trailer) { end.writeField(field) }
            end.writeStaticString("\r\n")
            return end
        }
    }
}
