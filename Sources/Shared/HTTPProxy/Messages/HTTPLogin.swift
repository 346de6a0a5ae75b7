import Basics

/// What a client says of itself: `Proxy-Authorization` with Basic (RFC 7617).
enum HTTPLogin {
    /// It says nothing.
    case none
    /// It says something that is none.
    case malformed
    case user([UInt8], password: [UInt8])

    init(_ fields: HTTPFields) {
        let values = fields.values("proxy-authorization")
        guard let value = values.first else {
            self = .none
            return
        }
        let parts = value.split(separator: HTTPText.space, maxSplits: 1)
        guard values.count == 1, parts.count == 2, HTTPText.equal(parts[0], "basic".utf8),
            let pair = Base64.bytes(of: String(decoding: HTTPText.trimmed(parts[1]), as: UTF8.self)),
            let colon = pair.firstIndex(of: HTTPText.colon)
        else {
            self = .malformed
            return
        }
        self = .user(Array(pair[..<colon]), password: Array(pair[(colon + 1)...]))
    }
}
