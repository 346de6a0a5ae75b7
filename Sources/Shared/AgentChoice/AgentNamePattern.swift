/// The regular expression that `--agent` takes.
///
/// It has to match the whole name: `--agent home` means the agent `home` and never `home-test`, since traffic that
/// leaves from an unexpected machine is worse than none. `.*home.*` finds the word anywhere.
package struct AgentNamePattern: CustomStringConvertible {
    /// The expression as it was written.
    package let description: String
    private let regex: Regex<AnyRegexOutput>

    /// Compiles `pattern` in Swift's syntax, a superset of PCRE's and Oniguruma's common ground.
    package init(_ pattern: String = ".*") throws(AgentNamePatternError) {
        do {
            self.regex = try Regex(pattern)
        } catch {
            throw AgentNamePatternError(pattern: pattern, reason: "\(error)")
        }
        self.description = pattern
    }

    /// Whether the whole of `name` matches.
    package func matches(_ name: String) -> Bool {
        // The default is worth knowing: the server may list thousands of names.
        if self.description == ".*" { return true }
        // An expression that fails while it runs matches nothing.
        return (try? self.regex.wholeMatch(in: name)) != nil
    }
}

/// A regular expression that does not compile.
package struct AgentNamePatternError: Error, Hashable, Sendable, CustomStringConvertible {
    package var pattern: String
    package var reason: String

    package var description: String { "'\(self.pattern)' is not a regular expression: \(self.reason)" }
}
