import Basics

/// Text made safe for one line of a log.
///
/// Names and messages come from other machines: a line break or a terminal sequence in one of them must not look like
/// a line of our own.
package enum LogText {
    /// `text` as the value of a `key=value` pair: bare when that is unambiguous, else quoted, with `"`, `\` and
    /// control characters escaped.
    static func value(_ text: String) -> String {
        let isBare =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
                    && byte != UInt8(ascii: "\\")
            }
        if isBare { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted.append("\\") }
            Self.append(scalar, to: &quoted)
        }
        return quoted + "\""
    }

    /// `text` with control characters escaped, to be read by a person.
    package static func escapingControlCharacters(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            Self.append(scalar, to: &result)
        }
        return result
    }

    /// `text` as a JSON string, quotes included (RFC 8259 §7).
    static func json(_ text: String) -> String { text.quoted(escaping: \.isUnseen) }

    private static func append(_ scalar: Unicode.Scalar, to text: inout String) {
        switch scalar {
        case "\n": text += "\\n"
        case "\r": text += "\\r"
        case "\t": text += "\\t"
        case _ where scalar.isUnseen: text += "\\u{" + Hex.text(scalar.value) + "}"
        default: text.unicodeScalars.append(scalar)
        }
    }
}
