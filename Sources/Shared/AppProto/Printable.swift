/// Whether every character of `string` can be shown in a terminal and a log line without changing what stands around it.
package func isPrintable(_ string: String) -> Bool {
    string.unicodeScalars.allSatisfy(isPrintable)
}

/// False for control characters, line and paragraph separators, and the marks that reorder bidirectional text.
func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20...0x7E: true
    case 0x00...0x1F, 0x7F...0x9F: false
    case 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069, 0x200E, 0x200F, 0x061C, 0xFEFF: false
    default: true
    }
}

/// Whether `name` may be an agent's name: 1 to 255 bytes of printable UTF-8.
package func isValidAgentName(_ name: String) -> Bool {
    (1...AppProtoLimits.name).contains(name.utf8.count) && isPrintable(name)
}

extension String {
    /// The beginning that has at most `limit` bytes of UTF-8, without half a character at its end.
    package func cut(toBytes limit: Int) -> String {
        guard self.utf8.count > limit else { return self }
        var end = self.utf8.index(self.startIndex, offsetBy: limit)
        while end.samePosition(in: self.unicodeScalars) == nil { self.utf8.formIndex(before: &end) }
        return String(self[..<end])
    }
}
