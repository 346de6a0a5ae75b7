import Synchronization

/// The rules that the agent goes by now. They can change while it runs; what is open then stays open.
final class EgressRules: Sendable {
    private struct Policies {
        var targets: EgressPolicy
        var candidates: EgressPolicy
    }

    private let policies: Mutex<Policies>
    private let changes = Atomic<UInt64>(0)

    /// Those of `targets`, and `candidates` for paths to clients.
    init(targets: EgressPolicy, candidates: EgressPolicy = .candidates([], exceptions: [])) {
        self.policies = Mutex(Policies(targets: targets, candidates: candidates))
    }

    /// Those of the command line.
    convenience init(_ options: EgressOptions) {
        self.init(targets: options.policy, candidates: options.candidatePolicy)
    }

    /// Where targets may be.
    var policy: EgressPolicy { self.policies.withLock { $0.targets } }
    /// Grows with each change: what was decided by the rules of another one is to be decided anew.
    var generation: UInt64 { self.changes.load(ordering: .acquiring) }
    /// Where clients may be looked for directly.
    var candidatePolicy: EgressPolicy { self.policies.withLock { $0.candidates } }

    /// Goes by those of other options from now on.
    func change(to options: EgressOptions) {
        let policies = Policies(targets: options.policy, candidates: options.candidatePolicy)
        self.policies.withLock { $0 = policies }
        self.changes.add(1, ordering: .releasing)
    }
}
