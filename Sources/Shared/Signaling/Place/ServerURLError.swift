import Basics

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

    /// Without what may be a password, or the secret of a link whose first letters are mistyped.
    package var description: String {
        let shown = self.text.prefix { $0 != "#" }
        let rest = shown.endIndex < self.text.endIndex ? "#***" : ""
        return "invalid server URL \"\(UserInformation.masked(in: String(shown)))\(rest)\": "
            + "\(self.part.rawValue): \(self.problem)"
    }
}
