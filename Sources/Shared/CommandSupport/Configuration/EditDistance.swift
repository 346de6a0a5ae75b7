/// How different two words are.
enum EditDistance {
    /// The number of characters to insert, delete or replace to make one word of the other (Levenshtein).
    static func between(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var distances = Array(0...right.count)
        for (row, character) in left.enumerated() {
            var diagonal = distances[0]
            distances[0] = row + 1
            for column in right.indices {
                let substituted = diagonal + (character == right[column] ? 0 : 1)
                diagonal = distances[column + 1]
                distances[column + 1] = min(substituted, diagonal + 1, distances[column] + 1)
            }
        }
        return distances[right.count]
    }

    /// The one of `names` that is nearest to `text`, the first of several; nil when there are none.
    static func nearest(to text: String, among names: [String]) -> String? {
        names.min { self.between($0, text) < self.between($1, text) }
    }
}
