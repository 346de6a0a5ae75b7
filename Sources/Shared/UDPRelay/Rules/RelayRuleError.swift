/// What is wrong with a rule, where, and what would be right.
package struct RelayRuleError: Error, Equatable {
    /// The kinds of mistakes, for tests and programs.
    package enum Kind: Equatable, Sendable {
        case empty
        case unknownProtocol
        case tcpReserved
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
    package let rule: String
    /// The part of it that is wrong.
    package let fault: Range<String.Index>
    package let kind: Kind
    /// What is wrong and what would be right.
    package let message: String

    /// The faulty part.
    package var faultyPart: String { String(self.rule[self.fault]) }
}

extension RelayRuleError: CustomStringConvertible {
    /// The rule, a line of carets under the faulty part, and the message.
    package var description: String {
        let before = self.rule.distance(from: self.rule.startIndex, to: self.fault.lowerBound)
        let length = max(1, self.rule.distance(from: self.fault.lowerBound, to: self.fault.upperBound))
        return """
            \(self.message)
              -L \(self.rule)
                 \(String(repeating: " ", count: before))\(String(repeating: "^", count: length))
            """
    }
}
