/// Bytes as letters that may stand in a URL (RFC 4648 §5), without padding.
package enum Base64URL {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The letters for `bytes`.
    package static func text(_ bytes: some Sequence<UInt8>) -> String {
        var letters: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                letters.append(Self.letters[Int(buffer >> bits & 0x3F)])
            }
        }
        if bits > 0 { letters.append(Self.letters[Int(buffer << (6 - bits) & 0x3F)]) }
        return String(decoding: letters, as: UTF8.self)
    }

    /// The bytes that `text` stands for; nil for anything that ``text(_:)`` does not write. The letters `+` and `/` of the
    /// other alphabet, and padding, are taken as well: people copy such text from elsewhere.
    package static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        var isPadded = false
        for letter in text.utf8 {
            if letter == UInt8(ascii: "=") {
                isPadded = true
                continue
            }
            guard !isPadded, let value = Self.value(letter) else { return nil }
            buffer = buffer << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: buffer >> bits))
            }
        }
        // What is left over are zeros, and less than a letter of them.
        guard bits < 6, buffer & (1 << bits - 1) == 0 else { return nil }
        return bytes
    }

    private static func value(_ letter: UInt8) -> UInt32? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(letter - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(letter - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(letter - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "-"), UInt8(ascii: "+"): 62
        case UInt8(ascii: "_"), UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
