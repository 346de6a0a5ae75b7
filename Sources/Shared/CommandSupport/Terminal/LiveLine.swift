/// A line that stays below all others on a terminal and is written over again and again. A value that says what to write.
///
/// It is never wider than the terminal, so that it takes one row and can be wiped from there.
struct LiveLine {
    /// To the first column, and everything from there to the end of the row away (ECMA-48 §8.3.41).
    private static let wipe = "\r\u{1B}[K"

    /// Stands for what is cut off; one column.
    private let ellipsis: String
    /// What is to be seen; nil: nothing.
    private var text: String?
    private var isShown = false

    /// `isUnicode`: whether the terminal shows more than ASCII.
    init(isUnicode: Bool = true) { self.ellipsis = isUnicode ? "…" : ">" }

    /// Shows other text from now on. Returns what to write.
    mutating func show(_ text: String?, columns: Int) -> String {
        self.text = text
        return self.draw(columns: columns)
    }

    /// Makes room for `lines`, each with its end, which go above. Returns what to write.
    mutating func above(_ lines: String, columns: Int) -> String {
        let room = self.clear()
        // As it was before: the next change comes soon.
        return room + lines + (room.isEmpty ? "" : self.draw(columns: columns))
    }

    /// Wipes it, until it is shown again. Returns what to write.
    mutating func clear() -> String {
        defer { self.isShown = false }
        return self.isShown ? Self.wipe : ""
    }

    /// The terminal belongs to somebody else now, and so does the row that the line was in.
    mutating func leave() { self.isShown = false }

    private mutating func draw(columns: Int) -> String {
        guard let text = self.text else { return self.clear() }
        self.isShown = true
        // The last column stays free: many terminals go to the next row when it is filled.
        return Self.wipe + TextWidth.cut(text, to: max(0, columns - 1), ellipsis: self.ellipsis)
    }
}
