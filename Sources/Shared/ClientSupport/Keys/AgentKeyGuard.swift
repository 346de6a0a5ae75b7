import AgentChoice
import AppProto
import Basics
import CommandSupport
import Logging
import NIOCore
import Signaling

/// Keeps a pool from agents that show other keys than those that they are known by, and tells people of them. Belongs to the
/// pool's event loop.
final class AgentKeyGuard {
    private let keys: AgentKeys
    private let pattern: AgentNamePattern
    private let signal: SignalClient
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var trouble = AgentKeyTrouble()
    private var failures = Trouble<String>()
    /// Has the agents listed; set by the pool.
    var look: () -> Void = {}
    private var reminder: Scheduled<Void>?
    /// Those that match, as the server told last, and whether each says that it keeps its key.
    private var registered: [String: Bool?] = [:]

    init(
        _ keys: AgentKeys, pattern: AgentNamePattern, signal: SignalClient, eventLoop: any EventLoop, logger: Logger
    ) {
        self.keys = keys
        self.pattern = pattern
        self.signal = signal
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// Why there is no agent to use, where that is so because of keys.
    var obstacle: String? {
        self.trouble.isHopeless(registered: Set(self.registered.keys), known: []) ? self.trouble.first?.summary : nil
    }

    /// Those of the server's list that may be asked for a channel. That is only what the server says; see ``objection(to:of:)``.
    func usable(_ agents: [AgentInfo]) -> [AgentInfo] {
        let matching = agents.filter { self.pattern.matches($0.name) }
        self.registered = Dictionary(matching.map { ($0.name, $0.key?.isKept) }) { $1 }
        self.trouble.keep(only: Set(self.registered.keys))
        var usable: [AgentInfo] = []
        var refusals: [AgentKeyRefusal] = []
        for agent in matching {
            switch self.keys.verdict(listed: agent) {
            case .known, .first: usable.append(agent)
            case .refused(let refusal): refusals.append(refusal)
            }
        }
        for refusal in refusals { self.tell(refusal, isAlone: usable.isEmpty) }
        // A server may list a name more than once.
        for agent in usable { self.trouble.listed(agent.name) }
        self.endIfHopeless()
        self.remindLater()
        return usable
    }

    /// A pool that has an agent asks for no list. Who is refused meanwhile is told of all the same.
    private func remindLater() {
        guard self.reminder == nil, !self.trouble.isEmpty else { return }
        self.reminder = self.eventLoop.assumeIsolated().scheduleTask(in: Trouble<AgentKeyRefusal>().interval) {
            [weak self] in
            self?.reminder = nil
            self?.look()
        }
    }

    /// What there is to say against the key that an agent's answer names.
    func objection(to key: CertificateFingerprint, of name: String) -> String? {
        guard case .refused(let refusal) = self.keys.verdict(on: name, showing: key) else { return nil }
        self.tell(refusal, isAlone: true)
        self.endIfHopeless()
        return refusal.summary
    }

    /// An agent has proved a key. As `PeerKeyCheck` wants it.
    func proved(_ key: CertificateFingerprint, of name: String) -> EventLoopFuture<Void>? {
        switch self.keys.verdict(on: name, showing: key) {
        case .known:
            self.accepted(name)
            return nil
        case .refused(let refusal):
            self.tell(refusal, isAlone: true)
            return self.eventLoop.makeFailedFuture(refusal)
        case .first:
            let isKept = self.registered[name] ?? nil
            let recorded = self.keys.record(name, key, isKept: isKept, on: self.eventLoop)
            recorded.assumeIsolated().whenComplete { [weak self] result in
                switch result {
                case .success: self?.accepted(name)
                case .failure(let error): self?.notRecorded(name, key, error)
                }
            }
            return recorded
        }
    }

    func knows(_ key: CertificateFingerprint, of name: String) -> Bool {
        self.keys.verdict(on: name, showing: key) == .known
    }

    /// Other keys are known than before.
    func forget() { self.trouble = AgentKeyTrouble() }

    private func accepted(_ name: String) {
        self.keys.stood()
        self.trouble.ended(name)
        _ = self.failures.ended(at: self.eventLoop.now)
    }

    // MARK: Telling

    /// - Parameter isAlone: whether there is no other agent to use. Otherwise one that is not known is no news: the file may
    ///   well say which of many to use.
    private func tell(_ refusal: AgentKeyRefusal, isAlone: Bool) {
        guard let news = self.trouble.refused(refusal, at: self.eventLoop.now) else { return }
        var metadata: Logger.Metadata = [
            "event": "peer.refused", "agent": "\(refusal.agent)", "reason": "\(refusal.name)",
            "file": "\(self.keys.path)",
        ]
        metadata["got"] = refusal.got.map { "\($0)" }
        metadata["expected"] = refusal.expected.map { "\($0)" }
        var time = ""
        if case .lasts(let length) = news {
            metadata["for_s"] = .stringConvertible(length.wholeSeconds)
            time = " (for \(length.words) now)"
        }
        self.logger.log(
            level: isAlone || refusal.expected != nil ? .warning : .debug,
            "\(refusal.summary)\(time). \(self.advice(on: refusal))", metadata: metadata)
    }

    private func advice(on refusal: AgentKeyRefusal) -> String {
        refusal.advice(file: self.keys.path, isKept: self.registered[refusal.agent] ?? nil)
    }

    private func notRecorded(_ name: String, _ key: CertificateFingerprint, _ error: any Error) {
        if let refusal = error as? AgentKeyRefusal { return self.tell(refusal, isAlone: true) }
        guard self.failures.occurred("\(name): \(error)", at: self.eventLoop.now) != nil else { return }
        self.logger.warning(
            "the first key of \(name) is not believed, since it cannot be kept: \(error)",
            metadata: [
                "event": "peer.refused", "agent": "\(name)", "reason": "key_not_recorded", "got": "\(key)",
                "file": "\(self.keys.path)",
            ])
    }

    // MARK: The end

    /// At its start a program ends when no agent can be used that is there or may come, as it does when a server proves no
    /// knowledge of the secret: a person is there to read it. Later it goes on trying, so that nobody can end it by showing
    /// another key.
    private func endIfHopeless() {
        guard !self.keys.hasStood, let refusal = self.trouble.first else { return }
        let known = self.keys.names.filter { self.pattern.matches($0) }
        guard self.trouble.isHopeless(registered: Set(self.registered.keys), known: known) else { return }
        self.signal.end(.refused(detail: "\(refusal.summary). \(self.advice(on: refusal))"))
    }
}

@available(*, unavailable)
extension AgentKeyGuard: Sendable {}
