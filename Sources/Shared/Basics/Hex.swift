/// Numbers and bytes in lower-case hexadecimal digits.
package enum Hex {
    /// `value` in at least `digits` digits.
    package static func text(_ value: some UnsignedInteger, digits: Int = 1) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }

    /// Two digits for each byte.
    package static func text(_ bytes: some Sequence<UInt8>, separator: String = "") -> String {
        bytes.map { Self.text($0, digits: 2) }.joined(separator: separator)
    }
}
