import NIOCore

/// A response of the proxy itself.
struct HTTPAnswer {
    let status: HTTPStatus
    /// Without the end of its last line.
    let text: String

    /// One line that says why.
    init(_ status: HTTPStatus, _ text: String) {
        self.status = status
        // What comes from elsewhere does not make lines of its own.
        self.text = String(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
    }

    init(_ violation: HTTPViolation) { self.init(violation.status, "\(violation)") }

    private init(page text: String) {
        self.status = .badRequest
        self.text = text
    }

    /// What somebody reads who has taken the proxy for a server.
    static let page = HTTPAnswer(
        page: """
            This port is a proxy, not a web site. It speaks SOCKS (5, 4a and 4) and HTTP (CONNECT, and requests for http:// URLs).

            Set it as the proxy of your browser or program, with this host and port, for example:

                curl --proxy http://HOST:PORT https://example.com/
                curl --proxy socks5h://HOST:PORT https://example.com/
                export http_proxy=http://HOST:PORT https_proxy=http://HOST:PORT
            """)

    /// The whole response.
    ///
    /// - Parameter isToHead: whether the content is left out.
    func encoded(isToHead: Bool, connection: HTTPClientConnection) -> ByteBuffer {
        var response = ByteBuffer()
        response.writeString("HTTP/1.1 \(self.status.rawValue) \(self.status.reason)\r\n")
        switch self.status {
        case .proxyAuthenticationRequired:
            // RFC 7617 §2; the realm says nothing about the machine.
            response.writeStaticString("Proxy-Authenticate: Basic realm=\"proxy\", charset=\"UTF-8\"\r\n")
        case .methodNotAllowed:
            response.writeStaticString("Allow: OPTIONS\r\n")
        default:
            break
        }
        response.writeStaticString("Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n")
        response.writeString("Content-Length: \(self.text.utf8.count + 1)\r\n")
        switch connection {
        case .stays, .upgrades: break
        case .staysInOldVersion: response.writeStaticString("Connection: keep-alive\r\n")
        case .closes: response.writeStaticString("Connection: close\r\n")
        }
        response.writeStaticString("\r\n")
        if !isToHead {
            response.writeString(self.text)
            response.writeStaticString("\n")
        }
        return response
    }
}
