/// One thing that `--check` has looked at, and what it found.
package struct CheckItem: Hashable, Sendable {
    package enum Outcome: String, Sendable {
        case ok
        /// It works all the same, or may.
        case warning
        case failed
    }

    package let outcome: Outcome
    /// One word.
    package let subject: String
    package let finding: String
    /// What a person can do about it.
    package let advice: String?

    package init(_ outcome: Outcome, _ subject: String, _ finding: String, advice: String? = nil) {
        self.outcome = outcome
        self.subject = subject
        self.finding = finding
        self.advice = advice
    }

    /// The longest outcome and the longest subject, and a gap.
    private static let columns = (outcome: 9, subject: 12)

    /// A line in columns, the advice on one of its own; with line breaks at their ends.
    package var text: String {
        let margin = String(repeating: " ", count: Self.columns.outcome + Self.columns.subject)
        let line =
            Self.padded(self.outcome.rawValue, Self.columns.outcome) + Self.padded(self.subject, Self.columns.subject)
            + self.finding + "\n"
        return self.advice.map { "\(line)\(margin)-> \($0)\n" } ?? line
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
