/// How wide text is on a terminal.
package enum TextWidth {
    /// Blocks of scalars that take two columns (UAX #11, W and F).
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
        0x1F900...0x1F9FF, 0x20000...0x3FFFD,
    ]

    /// The columns that `text` takes. Characters of several scalars take as many as the widest of these.
    package static func columns(of text: String) -> Int {
        text.reduce(0) { width, character in width + (character.unicodeScalars.map(Self.columns).max() ?? 0) }
    }

    /// As much of the beginning of `text` as takes no more than `columns`, with `ellipsis`, which takes one, for what is left out.
    package static func cut(_ text: String, to columns: Int, ellipsis: String = "…") -> String {
        guard Self.columns(of: text) > columns else { return text }
        guard columns > 0 else { return "" }
        var result = ""
        var width = 0
        for character in text {
            width += Self.columns(of: String(character))
            guard width < columns else { break }
            result.append(character)
        }
        return result + ellipsis
    }

    private static func columns(of scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: 0
        default:
            scalar.properties.isEmojiPresentation || Self.wide.contains { $0.contains(scalar.value) } ? 2 : 1
        }
    }
}
