import Basics

/// Takes a server URL apart, left to right (RFC 3986 §3, without user information, query and fragment).
struct ServerURLParser {
    private let text: String
    private var rest: Substring

    /// RFC 1035 §2.3.4.
    private static let maximumHostLength = 253
    private static let maximumPrefixLength = 1024

    init(_ text: String) {
        self.text = text
        self.rest = Substring(text)
    }

    mutating func parse() throws(ServerURLError) -> ServerURL {
        let scheme = try self.parseScheme()
        let slash = self.rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? self.rest.endIndex
        let path = self.rest[slash...]
        self.rest = self.rest[..<slash]
        if self.rest.contains("@") {
            throw self.fail(.host, "user names do not belong in the URL; the secret is given with --secret-file")
        }
        let host = try self.parseHost()
        let port = try self.parsePort(host: host) ?? scheme.defaultPort
        let prefix = try self.parsePrefix(path, scheme: scheme)
        return ServerURL(scheme: scheme, host: host, port: port, prefix: prefix)
    }

    private mutating func parseScheme() throws(ServerURLError) -> ServerURL.Scheme {
        guard let separator = self.rest.place(of: "://") else {
            let isHost = !self.text.isEmpty && !self.text.includes(":/") && !self.text.contains("@")
            let example = isHost ? self.text : "example.org:8888"
            throw self.fail(.scheme, "missing; write https://\(example), quic://\(example) or http://\(example)")
        }
        let name = self.rest[..<separator.lowerBound]
        switch name.lowercased() {
        case "wss":
            throw self.fail(.scheme, "\"\(name)\" is not known; write https://, which opens the WebSocket")
        case "ws":
            throw self.fail(.scheme, "\"\(name)\" is not known; write http://, which opens the WebSocket")
        case let lowercased:
            guard let scheme = ServerURL.Scheme(rawValue: lowercased) else {
                throw self.fail(.scheme, "\"\(name)\" is not known; use https, http or quic")
            }
            self.rest = self.rest[separator.upperBound...]
            return scheme
        }
    }

    /// Leaves `rest` at the colon of the port, or empty.
    private mutating func parseHost() throws(ServerURLError) -> String {
        if self.rest.first == "[" {
            guard let bracket = self.rest.firstIndex(of: "]") else {
                throw self.fail(.host, "the closing bracket of the IPv6 address is missing; write [2001:db8::1]:8888")
            }
            let address = String(self.rest[self.rest.index(after: self.rest.startIndex)..<bracket])
            guard address.isIPAddress(.v6) else {
                throw self.fail(.host, "\"\(address)\" is not an IPv6 address; write one like [2001:db8::1]")
            }
            self.rest = self.rest[self.rest.index(after: bracket)...]
            guard self.rest.isEmpty || self.rest.first == ":" else {
                throw self.fail(.port, "unexpected \"\(self.rest)\" after the address; write [\(address)]:8888")
            }
            return address
        }
        if String(self.rest).isIPAddress(.v6) {
            throw self.fail(.host, "an IPv6 address needs brackets; write [\(self.rest)]")
        }
        let end = self.rest.firstIndex(of: ":") ?? self.rest.endIndex
        let host = String(self.rest[..<end])
        self.rest = self.rest[end...]
        guard !host.isEmpty else {
            throw self.fail(.host, "missing; write the server's name or address, as in example.org:8888")
        }
        guard host.utf8.count <= Self.maximumHostLength, host.utf8.allSatisfy(\.isHostNameByte) else {
            throw self.fail(
                .host, "\"\(host)\" is not a host name; letters, digits, dots and hyphens make one (or punycode)")
        }
        let labels = host.split(separator: ".", omittingEmptySubsequences: true)
        if let last = labels.last, last.utf8.allSatisfy(\.isDigit), !host.isIPAddress(.v4) {
            throw self.fail(
                .host, "\"\(host)\" is not an IPv4 address; write four numbers of 0 to 255, as in 192.0.2.1")
        }
        return host
    }

    private mutating func parsePort(host: String) throws(ServerURLError) -> UInt16? {
        guard self.rest.first == ":" else { return nil }
        let digits = self.rest.dropFirst()
        self.rest = ""
        guard !digits.isEmpty else {
            throw self.fail(.port, "missing after the colon; write a number of 1 to 65535, or leave the colon out")
        }
        guard digits.utf8.allSatisfy(\.isDigit), let port = UInt16(digits), port > 0 else {
            throw self.fail(.port, "not a port; write a number of 1 to 65535")
        }
        return port
    }

    private func parsePrefix(_ path: Substring, scheme: ServerURL.Scheme) throws(ServerURLError) -> String {
        if let mark = path.first(where: { $0 == "?" || $0 == "#" }) {
            throw self.fail(.path, "\"\(mark)\" and what follows have no meaning here; leave them out")
        }
        guard path.utf8.count <= Self.maximumPrefixLength else {
            throw self.fail(.path, "longer than \(Self.maximumPrefixLength) bytes")
        }
        guard path.utf8.allSatisfy(\.isPathByte) else {
            throw self.fail(.path, "contains a character that needs percent-encoding")
        }
        let end = path.utf8.lastIndex { $0 != UInt8(ascii: "/") }
        let prefix = end.map { String(path[...$0]) } ?? ""
        guard prefix.isEmpty || scheme != .quic else {
            throw self.fail(.path, "a quic:// server has no path; write quic://host:port")
        }
        return prefix
    }

    private func fail(_ part: ServerURLError.Part, _ problem: String) -> ServerURLError {
        ServerURLError(text: self.text, part: part, problem: problem)
    }
}

extension String {
    /// Whether this is an IP address of that family, as `inet_pton` reads it.
    func isIPAddress(_ family: IPAddress.Family) -> Bool {
        // A scoped address would resolve to an interface of this machine; it is not one that a server has.
        guard !self.utf8.contains(UInt8(ascii: "%")) else { return false }
        return IPAddress(parsing: self)?.family == family
    }
}

extension UInt8 {
    var isDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
    }

    var isLetter: Bool {
        let lowercased = self | 0x20
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lowercased)
    }

    /// Underscores are no host names (RFC 952), but names with them are in use on private networks.
    fileprivate var isHostNameByte: Bool {
        self.isDigit || self.isLetter || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(self)
    }

    /// `pchar` and `/` (RFC 3986 §3.3), percent-encoding taken as it is.
    fileprivate var isPathByte: Bool {
        self.isDigit || self.isLetter || "-._~!$&'()*+,;=:@%/".utf8.contains(self)
    }
}
