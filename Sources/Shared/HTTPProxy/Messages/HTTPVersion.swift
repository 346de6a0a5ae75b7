/// The versions of HTTP that are spoken here. A higher minor version is read as 1.1 (RFC 9110 §2.5).
enum HTTPVersion {
    case http1_0
    case http1_1

    /// `HTTP/1.1` (RFC 9112 §2.3).
    init(_ text: ArraySlice<UInt8>) throws(HTTPViolation) {
        let text = Array(text)
        guard text.count == 8, text.starts(with: "HTTP/".utf8), HTTPText.isDigit(text[5]),
            text[6] == UInt8(ascii: "."), HTTPText.isDigit(text[7])
        else { throw .malformedRequestLine }
        guard text[5] == UInt8(ascii: "1") else { throw .unsupportedVersion }
        self = text[7] == UInt8(ascii: "0") ? .http1_0 : .http1_1
    }

    /// Whether the sender of a message with these fields keeps the connection for further messages (RFC 9112 §9.3).
    /// `Proxy-Connection`, which is no standard, says the same to a proxy when there is no `Connection` (Appendix C.2.2).
    ///
    /// That appendix forbids proxies to keep connections of HTTP/1.0 clients, since a proxy of that age in between would pass
    /// `keep-alive` on without knowing it, and wait for an end that does not come. There are none left, but clients of 1.0 that
    /// ask for it; and one who asks for nothing gets none.
    func isPersistent(_ fields: HTTPFields) -> Bool {
        if fields.members("connection", contain: "close") || fields.members("proxy-connection", contain: "close") {
            return false
        }
        return switch self {
        case .http1_1: true
        case .http1_0:
            fields.members("connection", contain: "keep-alive")
                || fields.members("proxy-connection", contain: "keep-alive")
        }
    }
}
