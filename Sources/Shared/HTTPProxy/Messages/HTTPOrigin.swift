package import Basics

/// Where a request in absolute form goes, and what is asked of the server there.
package struct HTTPOrigin {
    /// Of `http://` (RFC 9110 §4.2.1).
    static let usualPort: UInt16 = 80

    package let target: Target
    /// The URL's authority as it was written: the `Host` of the request that is passed on (RFC 9112 §3.2.2).
    let authority: ArraySlice<UInt8>
    /// The request's target in the form for servers: path and query, or `*` (RFC 9112 §3.2.4).
    let requestTarget: [UInt8]

    /// - Parameter isOptions: whether a URL without path and query asks of the server as a whole.
    init(url: ArraySlice<UInt8>, isOptions: Bool) throws(HTTPViolation) {
        let colon = url.firstIndex(of: HTTPText.colon) ?? url.endIndex
        guard url[colon...].starts(with: "://".utf8), HTTPText.isToken(url[..<colon]) else { throw .invalidTarget }
        guard HTTPText.equal(url[..<colon], "http".utf8) else { throw .unsupportedScheme }
        // Fragments stay with the client (RFC 9112 §3.2.2 has no place for one).
        guard !url.contains(UInt8(ascii: "#")) else { throw .invalidTarget }
        let rest = url[(colon + 3)...]
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        let authority = try HTTPAuthority(rest[..<end])
        self.target = Target(host: authority.host, port: authority.port ?? Self.usualPort)
        self.authority = authority.text
        let path = rest[end...]
        self.requestTarget =
            switch path.first {
            case nil: Array((isOptions ? "*" : "/").utf8)
            case UInt8(ascii: "/"): Array(path)
            default: Array("/".utf8) + path
            }
    }
}
