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
            let pair = Self.decoded(HTTPText.trimmed(parts[1])), let colon = pair.firstIndex(of: HTTPText.colon)
        else {
            self = .malformed
            return
        }
        self = .user(Array(pair[..<colon]), password: Array(pair[(colon + 1)...]))
    }

    /// Reads Base64 (RFC 4648 §4), with its padding or without; nil when it is none.
    private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var digits = text
        while digits.last == UInt8(ascii: "="), text.count - digits.count < 2 { digits.removeLast() }
        guard digits.count % 4 != 1, digits.count == text.count || text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 4 * 3 + 2)
        var bits: UInt32 = 0
        var count = 0
        for digit in digits {
            guard let value = Self.value(digit) else { return nil }
            bits = bits << 6 | value
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
