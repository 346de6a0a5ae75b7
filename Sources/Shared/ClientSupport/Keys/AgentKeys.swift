package import AppProto
package import Basics
package import CommandSupport
import FileWatch
package import Logging
package import NIOCore
import NIOPosix
import Synchronization

/// The keys that a client knows agents by (`--known-agents`), for all of its pools. May be used from any event loop.
package final class AgentKeys: Sendable {
    /// What is thought of an agent that shows a key.
    package enum Verdict: Equatable, Sendable {
        case known
        /// The first key of its name, which becomes a known one once it is proved (`--trust-on-first-use`).
        case first
        case refused(AgentKeyRefusal)

        package var isRefused: Bool { if case .refused = self { true } else { false } }
    }

    private struct State {
        var known: KnownAgents
        /// How often `known` has been changed by what was proved: a reading that began before is none.
        var additions = 0
        /// Whether a channel to an agent has stood.
        var hasStood = false
        var listeners: [@Sendable () -> Void] = []
    }

    package let path: String
    /// Whether the first key of a name is believed.
    package let trustsFirstUse: Bool
    private let file: KnownAgentsFile
    private let state: Mutex<State>
    /// Held while one is added, so that the last that is added is the last that is known of.
    private let adding = Mutex(())
    private let logger: Logger
    private let reloader: NIOLoopBoundBox<FileReloader<Reading>?>

    private struct Reading: Sendable {
        let known: KnownAgents
        let additions: Int
    }

    /// How often the file is looked at, and for how long a new version has to stay as it is.
    private static let (interval, settling) = (TimeAmount.seconds(5), TimeAmount.seconds(1))

    /// Reads the file. Throws a `ProgramError`: exit code 69 when it cannot be read or, with `trustsFirstUse`, written; 78 when
    /// a line is wrong.
    package init(
        path: String, trustsFirstUse: Bool, eventLoop: any EventLoop, logger: Logger
    ) throws(ProgramError) {
        self.path = path
        self.trustsFirstUse = trustsFirstUse
        self.file = KnownAgentsFile(path: path, mayBeMissing: trustsFirstUse)
        self.logger = logger
        self.state = Mutex(State(known: try Self.load(self.file, willAdd: trustsFirstUse)))
        self.reloader = .makeBoxSendingValue(nil, eventLoop: eventLoop)
        if let complaint = self.file.complaint {
            logger.warning("\(complaint)", metadata: ["event": "known_agents.open", "file": "\(path)"])
        }
    }

    /// What a start would throw.
    static func check(path: String, trustsFirstUse: Bool) throws(ProgramError) {
        _ = try Self.load(KnownAgentsFile(path: path, mayBeMissing: trustsFirstUse), willAdd: trustsFirstUse)
    }

    private static func load(_ file: KnownAgentsFile, willAdd: Bool) throws(ProgramError) -> KnownAgents {
        do {
            let known = try file.load()
            if willAdd { try file.checkIsWritable() }
            return known
        } catch {
            let status: ExitStatus = if case .wrong = error { .configuration } else { .unavailable }
            throw ProgramError(status, "--known-agents: \(error)")
        }
    }

    // MARK: Verdicts

    /// What is thought of agent `name`, which shows `key`. It need not have proved it.
    package func verdict(on name: String, showing key: CertificateFingerprint) -> Verdict {
        self.state.withLock { state in
            switch state.known.standing(of: name, showing: key) {
            case .known: .known
            case .unknown where self.trustsFirstUse: .first
            case .unknown: .refused(AgentKeyRefusal(agent: name, got: key, .unknown))
            case .changed(let entries): .refused(AgentKeyRefusal(agent: name, got: key, .changed(entries)))
            }
        }
    }

    /// The same for an agent of which no key is told: by an older server, or of an older agent. It is asked, where it can be
    /// known at all.
    private func verdict(onUntold name: String) -> Verdict {
        self.trustsFirstUse || self.state.withLock { $0.known.knows(name) }
            ? .known : .refused(AgentKeyRefusal(agent: name, got: nil, .unknown))
    }

    /// Whether an agent's key is a known one, by the word of the server. As it is shown to people.
    package enum ListedStanding: String, Sendable {
        case known
        /// There is no key of its name, or it says none.
        case unknown
        case changed = "CHANGED"
    }

    /// What the file says of an agent of the server's list.
    package func standing(of agent: AgentInfo) -> ListedStanding {
        guard let key = agent.key?.fingerprint else { return .unknown }
        return switch self.state.withLock({ $0.known.standing(of: agent.name, showing: key) }) {
        case .known: .known
        case .unknown: .unknown
        case .changed: .changed
        }
    }

    /// What keeps an agent of the server's list from being used; nil: nothing that is known before it is asked.
    package func refusal(of agent: AgentInfo) -> AgentKeyRefusal? {
        guard case .refused(let refusal) = self.verdict(listed: agent) else { return nil }
        return refusal
    }

    /// What is thought of an agent of the server's list.
    func verdict(listed agent: AgentInfo) -> Verdict {
        agent.key.map { self.verdict(on: agent.name, showing: $0.fingerprint) } ?? self.verdict(onUntold: agent.name)
    }

    /// All that have a known key.
    var names: Set<String> { self.state.withLock { $0.known.names } }

    /// Whether a channel to an agent has stood at any time.
    var hasStood: Bool { self.state.withLock { $0.hasStood } }

    func stood() { self.state.withLock { $0.hasStood = true } }

    // MARK: The first use

    /// Agent `name` has proved `key`, its first: writes it down. The future, of `eventLoop`, fails with a
    /// `KnownAgentsFile.FileError`, or with an ``AgentKeyRefusal`` when another process has written another key meanwhile.
    ///
    /// - Parameter isKept: whether the agent says that it keeps the key; nil when that is not known.
    func record(
        _ name: String, _ key: CertificateFingerprint, isKept: Bool?, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Void> {
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            let day = UnixTime.text(Int64(clamping: UnixTime.seconds))
            let isNew = try self.adding.withLock { _ throws(KnownAgentsFile.FileError) in
                let (known, isNew) = try self.file.add(name, key, comment: "first used \(day)")
                let listeners = self.state.withLock { state in
                    let hasOthersChanged = !known.isSame(as: state.known, but: isNew ? name : nil)
                    state.known = known
                    state.additions += 1
                    return hasOthersChanged ? state.listeners : nil
                }
                if let listeners { self.tell(listeners, of: known) }
                return isNew
            }
            if case .refused(let refusal) = self.verdict(on: name, showing: key) { throw refusal }
            if isNew { self.sayRecorded(name, key, isKept) }
        }
    }

    private func sayRecorded(_ name: String, _ key: CertificateFingerprint, _ isKept: Bool?) {
        var text = "agent \(name) is known by its key \(key) from now on: added to \(self.path)"
        if isKept == false {
            text += "; it makes a new key at each start, and is refused after the next: give the agent --identity FILE"
        } else if isKept == nil {
            text += "; an agent before 0.13 makes a new key at each start"
        }
        self.logger.log(
            level: isKept == false ? .warning : .notice, "\(text)",
            metadata: [
                "event": "agent.key_recorded", "agent": "\(name)", "key": "\(key)", "file": "\(self.path)",
                "kept": "\(isKept.map { "\($0)" } ?? "unknown")",
            ])
    }

    // MARK: Changes of the file

    /// `body` is called on `eventLoop` when other keys are known than before.
    func subscribe(on eventLoop: any EventLoop, _ body: @escaping () -> Void) {
        let body = NIOLoopBound(body, eventLoop: eventLoop)
        self.state.withLock { $0.listeners.append { eventLoop.execute { body.value() } } }
    }

    /// Begins to watch the file. On the event loop that it was made with.
    package func watch() {
        let source = FileReloader<Reading>.Source(
            paths: [self.path], interval: Self.interval, settling: Self.settling,
            load: {
                // Before the file is read.
                let (additions, isEmpty) = self.state.withLock { ($0.additions, $0.known.names.isEmpty) }
                let file = KnownAgentsFile(path: self.path, mayBeMissing: isEmpty && self.trustsFirstUse)
                return Reading(known: try file.load(), additions: additions)
            })
        let reloader = FileReloader(source, loaded: FileStamp(of: [self.path]), eventLoop: self.reloader.eventLoop) {
            [weak self] in self?.install($0)
        }
        self.reloader.value = reloader
        reloader.start()
        // It may have changed since it was read.
        reloader.reload()
    }

    /// Reads the file again now; the future succeeds when that is done. From any event loop.
    @discardableResult
    package func reload() -> EventLoopFuture<Void> {
        let eventLoop = self.reloader.eventLoop
        return eventLoop.flatSubmit { self.reloader.value?.reload() ?? eventLoop.makeSucceededVoidFuture() }
    }

    private func tell(_ listeners: [@Sendable () -> Void], of known: KnownAgents) {
        self.logger.notice(
            "the known agents have changed",
            metadata: [
                "event": "known_agents.reloaded", "file": "\(self.path)",
                "agents": .stringConvertible(known.names.count),
            ])
        for listener in listeners { listener() }
    }

    private func install(_ result: Result<Reading, any Error>) {
        do {
            let reading = try result.get()
            let listeners: [@Sendable () -> Void]? = self.state.withLock { state in
                guard reading.additions == state.additions, reading.known != state.known else { return nil }
                state.known = reading.known
                return state.listeners
            }
            if let listeners { self.tell(listeners, of: reading.known) }
        } catch {
            self.logger.error(
                "the known agents cannot be reloaded, the previous ones stay in use: \(error)",
                metadata: ["event": "known_agents.reload_failed", "file": "\(self.path)", "error": "\(error)"])
        }
    }
}
