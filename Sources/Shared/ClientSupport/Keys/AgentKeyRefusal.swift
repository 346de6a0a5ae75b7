package import Basics

/// Why a client has nothing to do with an agent.
package struct AgentKeyRefusal: Error, Hashable, Sendable {
    package enum Reason: Hashable, Sendable {
        /// The file has no key of that name.
        case unknown
        /// It has others.
        case changed([KnownAgents.Entry])
    }

    package let agent: String
    /// What it shows; nil: an older server, or agent, does not say.
    package let got: CertificateFingerprint?
    package let reason: Reason

    package init(agent: String, got: CertificateFingerprint?, _ reason: Reason) {
        self.agent = agent
        self.got = got
        self.reason = reason
    }

    /// As logs have it.
    package var name: String {
        switch self.reason {
        case .unknown: "agent_unknown"
        case .changed: "key_changed"
        }
    }

    /// A name may have any number of keys.
    private static let keysShown = 4

    /// What the file has instead, as logs have it.
    package var expected: String? {
        guard case .changed(let entries) = self.reason else { return nil }
        return entries.prefix(Self.keysShown).map { "\($0.key)" }.joined(separator: ",")
    }

    /// In a few words, both keys among them.
    package var summary: String {
        switch self.reason {
        case .unknown: "the key of \(self.agent) is not known\(self.got.map { ": \($0)" } ?? "")"
        case .changed:
            "the key of \(self.agent) has changed: expected \(self.expected ?? ""), got \(self.got.map { "\($0)" } ?? "none")"
        }
    }

    /// What may have happened, and what to do about it.
    ///
    /// - Parameters:
    ///   - file: with the known keys.
    ///   - isKept: whether the agent says that it keeps its key; nil when that is not known.
    func advice(file: String, isKept: Bool?) -> String {
        let line = self.got.map { "\(KnownAgents.inFile(self.agent)) \($0)" }
        let fleeting =
            isKept == false ? " It makes a new key at each start: give the agent --identity FILE first." : ""
        switch self.reason {
        case .unknown:
            guard let line else { return "Put its key into \(file): the agent prints it with --print-identity." }
            return "If --print-identity on the agent's machine prints that key, add to \(file): \(line)\(fleeting)"
        case .changed(let entries):
            let places = entries.prefix(Self.keysShown).map { "\($0.line)" }.joined(separator: ", ")
            let what = entries.count == 1 ? "line \(places)" : "one of lines \(places)"
            return
                "Somebody may be sitting in between, as a hostile server can; or the agent has another key than before."
                + fleeting
                + " Only if --print-identity on the agent's machine prints the new key, change \(what) of \(file)"
                + (line.map { " to: \($0)" } ?? "")
        }
    }
}

extension AgentKeyRefusal: CustomStringConvertible {
    package var description: String { self.summary }
}
