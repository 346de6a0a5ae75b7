extension StringProtocol {
    /// Whether `part` occurs, byte by byte. Unlike `contains` it leaves the engine of regular expressions out of programs that
    /// are linked statically, of which that would be one part in twenty.
    package func includes(_ part: String) -> Bool {
        let part = Array(part.utf8)
        var rest = self.utf8[...]
        while rest.count >= part.count {
            if rest.starts(with: part) { return true }
            rest = rest.dropFirst()
        }
        return false
    }
}
