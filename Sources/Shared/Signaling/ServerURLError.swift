/// Why a text is not a server URL.
package struct ServerURLError: Error, Hashable, CustomStringConvertible {
    /// The part that is wrong.
    package enum Part: String, Sendable, Hashable {
        case scheme, host, port, path
    }

    /// The whole text, as given.
    package let text: String
    /// The part that is wrong.
    package let part: Part
    /// What is wrong with it, and what would be right.
    package let problem: String

    package var description: String {
        "invalid server URL \"\(self.text)\": \(self.part.rawValue): \(self.problem)"
    }
}
