import NIOCore

/// One request and its response on their ways.
struct HTTPExchange {
    /// The request's content.
    enum Upload {
        case content(HTTPContentReader, HTTPContentWriter)
        /// The target takes no more of it; the client has to send it all the same.
        case refused(HTTPContentReader)
        case complete
    }

    /// The response.
    enum Download {
        case head(HTTPHeadReader)
        case content(HTTPContentReader, HTTPContentWriter)
    }

    let request: HTTPRequest
    let origin: HTTPOrigin
    /// The head for the server.
    let head: ByteBuffer
    var upload: Upload
    var download = Download.head(HTTPHeadReader())
    /// Whether the target's connection has been used before: it may break without having seen the request.
    var isReused = false
    /// Whether the client's connection, and the target's, stay when the exchange is over.
    var clientStays = false
    var targetStays = true

    init(_ request: HTTPRequest, to origin: HTTPOrigin, head: ByteBuffer) {
        self.request = request
        self.origin = origin
        self.head = head
        self.upload =
            switch request.content {
            case .nothing: .complete
            case .chunked: .content(HTTPContentReader(request.content), .chunked)
            case .bytes, .untilClose: .content(HTTPContentReader(request.content), .plain)
            }
    }

    /// Whether the client has sent the whole request.
    var isUploaded: Bool {
        if case .complete = self.upload { true } else { false }
    }

    /// Whether nothing of the response has been passed on.
    var isUnanswered: Bool {
        if case .head = self.download { true } else { false }
    }

    var isToHead: Bool { self.request.isMethod("HEAD") }
}
