package import Basics

/// A request's head as it came, and what it asks of a proxy (RFC 9112 §3.2).
package struct HTTPRequest {
    package enum Form {
        /// CONNECT: a tunnel to that place.
        case connect(Target)
        /// A request for the origin server of an `http://` URL.
        case absolute(HTTPOrigin)
        /// What a browser asks of a server that it takes this for.
        case notForProxy
    }

    let method: ArraySlice<UInt8>
    let version: HTTPVersion
    let fields: HTTPFields
    package let form: Form
    let content: HTTPContentLength

    /// Reads a head. Throws when it could be read in two ways.
    init(_ lines: [ArraySlice<UInt8>]) throws(HTTPViolation) {
        let (method, target, version) = try Self.requestLine(lines.first ?? [])
        let fields = try HTTPFields(lines.dropFirst())
        self.method = method
        self.version = version
        self.fields = fields
        self.content = try HTTPContentLength(requestWith: fields, version: version)
        self.form = try Self.form(method: method, target: target)
        try self.checkHost()
        // RFC 9110 §9.3.6: it has no defined meaning there.
        if case .connect = self.form, self.content != .nothing { throw .contentInConnect }
    }

    /// `method SP request-target SP HTTP-version`, with one space each (RFC 9112 §3).
    private static func requestLine(
        _ line: ArraySlice<UInt8>
    ) throws(HTTPViolation) -> (method: ArraySlice<UInt8>, target: ArraySlice<UInt8>, HTTPVersion) {
        let parts = line.split(separator: HTTPText.space, omittingEmptySubsequences: false)
        guard parts.count == 3, HTTPText.isToken(parts[0]), !parts[1].isEmpty,
            // Bytes of 0x80 and more are in no URL (RFC 3986 §2), but in requests of programs such as curl.
            parts[1].allSatisfy({ $0 > 0x20 && $0 != 0x7F })
        else { throw .malformedRequestLine }
        return (parts[0], parts[1], try HTTPVersion(parts[2]))
    }

    private static func form(method: ArraySlice<UInt8>, target: ArraySlice<UInt8>) throws(HTTPViolation) -> Form {
        if method.elementsEqual("CONNECT".utf8) {
            let authority = try HTTPAuthority(target)
            guard let port = authority.port else { throw .invalidPort }
            return .connect(Target(host: authority.host, port: port))
        }
        if target.first == UInt8(ascii: "/") || target.elementsEqual("*".utf8) { return .notForProxy }
        return .absolute(try HTTPOrigin(url: target, isOptions: method.elementsEqual("OPTIONS".utf8)))
    }

    /// One `Host`, which names the same place as the request line. RFC 9112 §3.2.2 has a proxy replace another one; what is
    /// meant by such a request is anybody's guess, so that it is refused.
    ///
    /// CONNECT may go without, in HTTP/1.1 too: nobody takes anything from it there.
    private func checkHost() throws(HTTPViolation) {
        let hosts = self.fields.values("host")
        guard hosts.count <= 1 else { throw .severalHosts }
        guard let text = hosts.first else {
            if case .absolute = self.form, self.version == .http1_1 { throw .missingHost }
            return
        }
        switch self.form {
        case .notForProxy:
            return
        case .connect(let target):
            let host = try Self.host(text)
            let same = host.hasSameHost(as: target.host) && (host.port ?? target.port) == target.port
            guard same else { throw .conflictingHost }
        case .absolute(let origin):
            let host = try Self.host(text)
            let same =
                host.hasSameHost(as: origin.target.host) && (host.port ?? HTTPOrigin.usualPort) == origin.target.port
            guard same else { throw .conflictingHost }
        }
    }

    private static func host(_ text: ArraySlice<UInt8>) throws(HTTPViolation) -> HTTPAuthority {
        do { return try HTTPAuthority(text) } catch { throw .invalidHost }
    }

    func isMethod(_ name: StaticString) -> Bool {
        self.method.count == name.utf8CodeUnitCount && name.withUTF8Buffer { self.method.elementsEqual($0) }
    }

    /// Whether it may be sent again when a connection broke before anything was answered (RFC 9110 §9.2.2).
    var isRepeatable: Bool {
        guard case .nothing = self.content else { return false }
        return ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains { self.isMethod($0) }
    }

    /// Whether the client takes further answers on its connection.
    var isPersistent: Bool { self.version.isPersistent(self.fields) }

    /// The protocols that the client would switch to, if any (RFC 9110 §7.8): those of HTTP/1.0 are ignored, and `h2c`, which
    /// needs fields that a proxy removes (RFC 9113 §3.1 has dropped it).
    var upgrades: [ArraySlice<UInt8>] {
        guard self.version == .http1_1, self.fields.members("connection", contain: "upgrade") else { return [] }
        return self.fields.members("upgrade").filter { !HTTPText.equal($0, "h2c".utf8) }
    }
}
