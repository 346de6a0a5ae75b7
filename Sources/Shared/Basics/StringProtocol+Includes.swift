extension StringProtocol {
    /// Where `part` occurs first, byte by byte. Unlike `firstRange` it leaves the engine of regular expressions out of programs
    /// that are linked statically, of which that would be one part in twenty.
    package func place(of part: String) -> Range<Index>? {
        let part = Array(part.utf8)
        var rest = self.utf8[...]
        while rest.count >= part.count {
            if rest.starts(with: part) { return rest.startIndex..<rest.index(rest.startIndex, offsetBy: part.count) }
            rest = rest.dropFirst()
        }
        return nil
    }

    /// Whether `part` occurs.
    package func includes(_ part: String) -> Bool { self.place(of: part) != nil }
}
