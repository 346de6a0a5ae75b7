import NIOCore
import Synchronization

/// The rules that the agent goes by now, or one client of it. They can change while it runs.
final class EgressRules: Sendable {
    private struct Policies {
        /// Nil: those of the wider rules are enough.
        var targets: EgressPolicy?
        var candidates: EgressPolicy
    }

    /// What has to permit a target, too; nil: nothing.
    private let wider: EgressRules?
    private let policies: Mutex<Policies>
    private let changes = Atomic<UInt64>(0)

    /// Those of `targets`, and `candidates` for paths to clients.
    init(targets: EgressPolicy, candidates: EgressPolicy = .candidates([], exceptions: [])) {
        self.wider = nil
        self.policies = Mutex(Policies(targets: targets, candidates: candidates))
    }

    /// Those of the command line.
    convenience init(_ options: EgressOptions) {
        self.init(targets: options.policy, candidates: options.candidatePolicy)
    }

    /// What both `wider`, which may change, and `client` permit; without the latter, what `wider` does.
    init(within wider: EgressRules, client: EgressPolicy?) {
        self.wider = wider
        self.policies = Mutex(Policies(targets: client, candidates: wider.candidatePolicy))
    }

    /// Where targets may be.
    var policy: EgressPolicy {
        let own = self.policies.withLock { $0.targets }
        guard let wider = self.wider?.policy else { return own ?? EgressPolicy([]) }
        return own?.within(wider) ?? wider
    }

    /// Whether the client's own rules permit a target, whatever the wider ones say: those hold for what is new.
    func ownPermit(_ target: SocketAddress) -> Bool {
        guard let own = self.policies.withLock({ $0.targets }) else { return true }
        return (self.wider.map { own.inNetwork(of: $0.policy) } ?? own).permits(target)
    }

    /// Where clients may be looked for directly.
    var candidatePolicy: EgressPolicy { self.wider?.candidatePolicy ?? self.policies.withLock { $0.candidates } }

    /// Grows with each change: what was decided by the rules of another one is to be decided anew.
    var generation: UInt64 { self.changes.load(ordering: .acquiring) &+ (self.wider?.generation ?? 0) }

    /// Goes by those of other options from now on.
    func change(to options: EgressOptions) {
        let policies = Policies(targets: options.policy, candidates: options.candidatePolicy)
        self.policies.withLock { $0 = policies }
        self.changes.add(1, ordering: .releasing)
    }

    /// The client's own are others from now on.
    func change(client own: EgressPolicy?) {
        self.policies.withLock { $0.targets = own }
        self.changes.add(1, ordering: .releasing)
    }
}
