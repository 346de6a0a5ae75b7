/// What is wrong with a rule, where, and what would be right.
struct RelayRuleError: Error, Equatable {
    /// The kinds of mistakes, for tests and programs.
    enum Kind: Equatable, Sendable {
        case empty
        case unknownProtocol
        case missingTarget
        case strayParameter
        case missingPort
        case invalidPort
        case zeroTargetPort
        case invalidAddress
        case nameNotSupported
        case missingBracket
        case duplicateListenAddress
    }

    /// The rule as given.
    let rule: String
    /// The part of it that is wrong.
    let fault: Range<String.Index>
    let kind: Kind
    /// What is wrong and what would be right.
    let message: String

    /// The faulty part.
    var faultyPart: String { String(self.rule[self.fault]) }
}

extension RelayRuleError: CustomStringConvertible {
    /// The rule, a line of carets under the faulty part, and the message.
    var description: String {
        let before = self.rule.distance(from: self.rule.startIndex, to: self.fault.lowerBound)
        let length = max(1, self.rule.distance(from: self.fault.lowerBound, to: self.fault.upperBound))
        return """
            \(self.message)
              -L \(self.rule)
                 \(String(repeating: " ", count: before))\(String(repeating: "^", count: length))
            """
    }
}
