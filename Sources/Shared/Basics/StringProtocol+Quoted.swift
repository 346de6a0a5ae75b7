extension StringProtocol {
    /// The text in quotes as JSON (RFC 8259 §7) and TOML (1.0, "String") read it: quotes, backslashes and those characters
    /// escaped for which `isEscaped` holds. JSON wants that for all below U+0020.
    package func quoted(escaping isEscaped: (Unicode.Scalar) -> Bool = { $0.value < 0x20 }) -> String {
        var quoted = "\""
        for scalar in self.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where isEscaped(scalar): quoted += scalar.utf16.map { "\\u" + Hex.text($0, digits: 4) }.joined()
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
