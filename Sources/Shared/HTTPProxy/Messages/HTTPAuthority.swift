import Basics

/// `host:port` of a URL, a CONNECT request or a `Host` field (RFC 3986 §3.2).
struct HTTPAuthority {
    /// As it was written.
    let text: ArraySlice<UInt8>
    let host: Target.Host
    /// Nil when there is none.
    let port: UInt16?

    /// Reads it. Of a host's name only what RFC 3986 calls unreserved is taken: encoded characters and delimiters are read by
    /// some programs in other ways than by others. An address in brackets is one of IPv6, without a zone.
    init(_ text: ArraySlice<UInt8>) throws(HTTPViolation) {
        guard !text.contains(UInt8(ascii: "@")) else { throw .userInformation }
        let host: ArraySlice<UInt8>
        let rest: ArraySlice<UInt8>
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { throw .invalidTarget }
            host = text[...close]
            rest = text[(close + 1)...]
        } else {
            let colon = text.firstIndex(of: HTTPText.colon) ?? text.endIndex
            host = text[..<colon]
            rest = text[colon...]
            guard host.allSatisfy(Self.isNameCharacter) else { throw .invalidTarget }
        }
        guard let parsed = Target.Host(name: host) else { throw .invalidTarget }
        if host.first == UInt8(ascii: "[") { guard case .ipv6 = parsed else { throw .invalidTarget } }
        self.text = text
        self.host = parsed
        self.port = try Self.port(rest)
    }

    private static func isNameCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
        default: false
        }
    }

    private static func port(_ text: ArraySlice<UInt8>) throws(HTTPViolation) -> UInt16? {
        guard let colon = text.first else { return nil }
        guard colon == HTTPText.colon, text.count <= 6, let number = HTTPText.number(text.dropFirst()),
            let port = UInt16(exactly: number), port != 0
        else { throw .invalidPort }
        return port
    }

    /// Whether it names that host, whatever the case of the letters.
    func hasSameHost(as other: Target.Host) -> Bool {
        switch (self.host, other) {
        case (.name(let mine), .name(let theirs)): HTTPText.equal(mine.utf8, theirs.utf8)
        case (let mine, let theirs): mine == theirs
        }
    }
}
