import AgentChoice
import AppProto
import Basics

/// What `--authorized-keys` says: which keys get in, as what, and which agents a client may use.
///
///     agent NAME SHA256:…
///     client SHA256:… [agents=REGEX]
///
/// An agent has a name that is listed with its key, so that all names there can ever be are known when the file is read. That
/// is when expressions are matched, and never against what somebody on the network has chosen.
struct AuthorizedKeys: Sendable {
    /// The agents that a client may use.
    private enum Scope: Sendable {
        case all(line: Int)
        /// A bit for each number of a name; and the expressions that they come of, which say whether a scope has changed.
        case some([UInt64], expressions: Set<String>, line: Int)

        var line: Int {
            switch self {
            case .all(let line), .some(_, _, let line): line
            }
        }
    }

    /// All names that agents may have, and their numbers.
    private var names: [String: Int] = [:]
    private var agents: [CertificateFingerprint: Set<String>] = [:]
    private var clients: [CertificateFingerprint: Scope] = [:]

    /// How many names there are for agents.
    var agentCount: Int { self.names.count }
    /// How many keys clients may have.
    var clientCount: Int { self.clients.count }

    /// Reads a file. Throws a ``KeyLineError``.
    init(parsing contents: [UInt8]) throws(KeyLineError) {
        let lines = try KeyLines(parsing: contents).lines
        for line in lines where line.words[0] == "agent" { try self.addAgent(line) }
        var reader = ExpressionReader(names: self.names)
        for line in lines where line.words[0] != "agent" {
            guard line.words[0] == "client" else {
                throw KeyLineError(
                    line: line.number,
                    "it begins with neither agent nor client: agent NAME SHA256:..., or "
                        + "client SHA256:... agents=REGEX")
            }
            try self.addClient(line, &reader)
        }
    }

    private mutating func addAgent(_ line: KeyLines.Line) throws(KeyLineError) {
        // A name may have blanks; what is not said with SHA256: is the second word behind it at least.
        let place = line.words.dropFirst(2).firstIndex { $0.hasPrefix("SHA256:") } ?? 2
        guard line.words.count >= 2, CertificateFingerprint(parsing: line.words[1]) == nil else {
            throw KeyLineError(line: line.number, "the agent's name is missing: agent NAME SHA256:...")
        }
        let name = line.words[1..<min(place, line.words.count)].joined(separator: " ")
        guard isValidAgentName(name) else {
            throw KeyLineError(
                line: line.number, "an agent's name has 1 to \(AppProtoLimits.name) bytes, and nothing that is not seen"
            )
        }
        let key = try line.fingerprint(at: place)
        _ = try line.options(from: place + 1, known: [])
        if self.names[name] == nil { self.names[name] = self.names.count }
        self.agents[key, default: []].insert(name)
    }

    private mutating func addClient(
        _ line: KeyLines.Line, _ reader: inout ExpressionReader
    ) throws(KeyLineError) {
        let key = try line.fingerprint(at: 1)
        let options = try line.options(from: 2, known: ["agents"])
        guard options.count <= 1 else {
            throw KeyLineError(line: line.number, "agents= is there twice; write agents=A|B, or a line for each")
        }
        let before = self.clients[key]
        switch (before, options.first) {
        case (nil, nil), (.all?, nil):
            self.clients[key] = .all(line: before?.line ?? line.number)
        case (nil, let option?):
            self.clients[key] = .some(
                try reader.numbers(option.value, line.number), expressions: [option.value], line: line.number)
        case (.some(let numbers, let expressions, let first)?, let option?):
            let more = try reader.numbers(option.value, line.number)
            self.clients[key] = .some(
                zip(numbers, more).map { $0 | $1 }, expressions: expressions.union([option.value]), line: first)
        case (.all(let first)?, .some), (.some(_, _, let first)?, nil):
            // One of them means less than it seems to.
            throw KeyLineError(
                line: line.number,
                "it and line \(first) contradict each other: the key may use all agents by one, and some by the other; "
                    + "remove one of them")
        }
    }

    // MARK: Questions

    /// Why `peer` does not get in; nil when it does.
    func refusal(of peer: PeerClaim) -> KeyRefusal? {
        guard let key = peer.key?.fingerprint else { return .withoutIdentity }
        switch peer.role {
        case .agent(let name):
            guard let names = self.agents[key] else { return .unknown(key, line: "agent \(name) \(key)") }
            return names.contains(name) ? nil : .nameNotYours(key, name: name, listed: names.sorted())
        case .agentCheck:
            return self.agents[key] == nil ? .unknown(key, line: "agent NAME \(key)") : nil
        case .client:
            return self.clients[key] == nil ? .unknown(key, line: "client \(key)") : nil
        }
    }

    /// Whether the client that has `key` may use the agent of that name.
    func lets(_ key: CertificateFingerprint, use name: String) -> Bool {
        guard let scope = self.clients[key], let number = self.names[name] else { return false }
        switch scope {
        case .all: return true
        case .some(let numbers, _, _): return numbers[number / 64] >> UInt64(number % 64) & 1 == 1
        }
    }

    /// Whether the client that has `key` may use all agents, so that none has to be left out for it.
    func letsUseAll(_ key: CertificateFingerprint) -> Bool {
        if case .all? = self.clients[key] { true } else { false }
    }

    /// Whether the client that has `key` may use an agent that has `agent`.
    func lets(_ key: CertificateFingerprint, useAgentWith agent: CertificateFingerprint) -> Bool {
        self.agents[agent]?.contains { self.lets(key, use: $0) } ?? false
    }

    /// Whether a client's key may use other agents than by `other`, as far as names are in both.
    func differs(from other: AuthorizedKeys, for key: CertificateFingerprint) -> Bool {
        switch (self.clients[key], other.clients[key]) {
        case (nil, nil), (.all?, .all?): false
        case (.some(_, let own, _)?, .some(_, let others, _)?): own != others
        default: true
        }
    }
}

/// Who a peer says that it is, by the key that it has proved.
struct PeerClaim {
    enum Role: Equatable {
        case agent(name: String)
        /// Somebody looks whether an agent would get in.
        case agentCheck
        case client
    }

    let role: Role
    let key: ProvedKey?
}

/// Turns expressions into the names that they match. The same one again costs nothing.
private struct ExpressionReader {
    private let names: [String: Int]
    private var known: [String: [UInt64]] = [:]

    init(names: [String: Int]) { self.names = names }

    /// A bit for each number of a name.
    mutating func numbers(_ text: String, _ line: Int) throws(KeyLineError) -> [UInt64] {
        if let known = self.known[text] { return known }
        let pattern: AgentNamePattern
        do throws(AgentNamePatternError) {
            pattern = try AgentNamePattern(text)
        } catch {
            throw KeyLineError(line: line, "agents= is wrong: \(error)")
        }
        var numbers = [UInt64](repeating: 0, count: (self.names.count + 63) / 64)
        for (name, number) in self.names where pattern.matches(name) {
            numbers[number / 64] |= 1 << UInt64(number % 64)
        }
        self.known[text] = numbers
        return numbers
    }
}
