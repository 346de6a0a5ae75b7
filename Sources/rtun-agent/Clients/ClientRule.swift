import Basics

/// What one line of `--authorized-clients` says: a client's key, and what it may do.
struct ClientRule: Equatable, Sendable {
    let key: CertificateFingerprint
    /// Those of `allow=` and `deny=` in their order.
    let rules: [EgressRule]
    /// How many connections and UDP associations it may have at once; nil: as any other.
    let maximumStreams: Int?

    /// Where the client may go, of what the agent's own policy permits; nil: anywhere there.
    ///
    /// The first rule that matches decides. What none matches is denied if there is an `allow=`: a line that allows something
    /// allows nothing else.
    var policy: EgressPolicy? {
        guard !self.rules.isEmpty else { return nil }
        let isList = self.rules.contains { $0.action == .allow }
        return EgressPolicy(only: self.rules + (isList ? [.denyAll] : []))
    }
}

extension ClientRule {
    /// Reads `SHA256:… [allow=CIDR[:PORTS]] [deny=CIDR[:PORTS]] [max-streams=N] [comment]`.
    init(parsing line: KeyLines.Line) throws(KeyLineError) {
        self.key = try line.fingerprint(at: 0)
        var rules: [EgressRule] = []
        var maximumStreams: Int?
        for (name, value) in try line.options(from: 1, known: ["allow", "deny", "max-streams"]) {
            switch name {
            case "allow": rules.append(try Self.rule(.allow, value, line.number))
            case "deny": rules.append(try Self.rule(.deny, value, line.number))
            default:
                guard maximumStreams == nil else {
                    throw KeyLineError(line: line.number, "max-streams= is there twice")
                }
                guard let number = Self.number(value), number > 0 else {
                    throw KeyLineError(
                        line: line.number,
                        "max-streams=\(value.prefix(20)) is not a number from 1 on, such as max-streams=64")
                }
                maximumStreams = number
            }
        }
        self.rules = rules
        self.maximumStreams = maximumStreams
    }

    private static func rule(
        _ action: EgressRule.Action, _ text: String, _ number: Int
    ) throws(KeyLineError) -> EgressRule {
        do throws(EgressRuleError) {
            return try EgressRule(action, parsing: text)
        } catch {
            throw KeyLineError(line: number, "\(action)=: \(error)")
        }
    }

    private static func number(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}
