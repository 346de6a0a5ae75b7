import NIOCore
import STUN

/// Which of the valid pairs is used (RFC 8445 §8).
extension ICEAgent {
    /// Checks have done their work: one pair is nominated.
    var isNominated: Bool {
        if case .connected(_, .done) = self.phase { true } else { false }
    }

    /// Controlling: nominates the best valid pair once nothing better can come, or enough time has passed for it
    /// (RFC 8445 §8.1.1 leaves the criteria to us).
    mutating func decideNomination(at now: NIODeadline) {
        guard self.role == .controlling, case .connected(let active, .awaited(let decideAt)) = self.phase,
            let best = self.checkList.best(where: \.isAvailable)
        else {
            return
        }
        let nothingBetter =
            self.localCandidatesAreComplete && self.remoteCandidatesAreComplete
            && !self.checkList.hasUnfinished(above: self.checkList[best].priority)
        guard nothingBetter || now >= decideAt else {
            return
        }
        self.phase = .connected(active: active, .requested(best))
        self.sendRequest(on: best, for: .nomination, wait: self.configuration.minimumRTO, at: now)
    }

    /// Controlled: follows the peer's nomination if the pair is valid (RFC 8445 §7.3.1.5 and §8.1.1).
    ///
    /// A peer nominates once; it nominates again when it has lost the pair. Some peers nominate every pair that works, as
    /// RFC 5245 allowed: of these the best counts. So a second nomination is followed if its pair is better, or if the
    /// one in use is doubtful.
    mutating func acceptNomination(of index: Int, at now: NIODeadline) {
        guard self.role == .controlled, self.checkList[index].isNominatedByPeer,
            self.checkList[index].state == .succeeded, case .connected(let active, let nomination) = self.phase
        else {
            return
        }
        self.checkList[index].isNominatedByPeer = false
        if nomination == .done {
            let isBetter = self.checkList[index].priority > self.checkList[active].priority
            guard active != index, isBetter || self.isDoubtful(active, at: now) else {
                return
            }
        }
        self.select(index, at: now)
    }

    /// Two consent checks in a row went unanswered, at least.
    private func isDoubtful(_ index: Int, at now: NIODeadline) -> Bool {
        guard let confirmedAt = self.checkList[index].confirmedAt else {
            return true
        }
        return now - confirmedAt > .nanoseconds(self.configuration.consentInterval.nanoseconds / 2 * 5)
    }

    /// This pair is nominated: it carries data from now on, and ordinary checks end (RFC 8445 §8.1.2).
    mutating func select(_ index: Int, at now: NIODeadline) {
        self.phase = .connected(active: index, .done)
        self.scheduleLivenessCheck(of: index, at: now)
        for other in self.checkList.pairs.indices where self.checkList[other].state == .inProgress {
            self.cancelCurrentCheck(of: other, at: now)
            // Neither failed nor worth another request, unless ordinary checks begin again.
            self.checkList[other].state = .waiting
            self.checkList[other].currentCheck = nil
        }
        self.trimStandbyPairs()
        self.emit(.selectedPairChanged(self.checkList[index].snapshot))
    }

    /// A valid pair has ended. If it was the one in use, the best of the others takes over.
    mutating func replace(_ index: Int, at now: NIODeadline) {
        guard case .connected(let active, let nomination) = self.phase else {
            return
        }
        guard active == index else {
            if nomination == .requested(index) {
                self.phase = .connected(active: active, .awaited(decideAt: now))
            }
            return
        }
        if self.checkList[index].state == .failed(.consentLost) {
            self.emit(.consentLost(self.checkList[index].snapshot))
        }
        guard let next = self.checkList.best(where: \.isAvailable) else {
            if self.checkList[index].state == .failed(.carriesTooLittle) {
                self.resumeChecks(at: now)
            } else {
                self.fail()
            }
            return
        }
        // Data goes on at once. The controlling side nominates the pair as soon as `advance` runs; the controlled side
        // follows whatever the peer nominates.
        self.phase = .connected(active: next, .awaited(decideAt: now))
        self.checkList[next].nextLivenessCheck = now
        self.emit(.selectedPairChanged(self.checkList[next].snapshot))
    }

    /// The nomination was premature: it had ended the checks of other pairs, and the keepalives of valid ones.
    private mutating func resumeChecks(at now: NIODeadline) {
        self.phase = .checking(since: now)
        for index in self.checkList.pairs.indices where self.checkList[index].state == .succeeded {
            self.checkList.trigger(index)
        }
    }
}
