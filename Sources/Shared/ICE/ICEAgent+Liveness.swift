package import NIOCore
import STUN

/// Consent on the pair in use (RFC 7675) and keepalives on those in reserve (RFC 8445 §11).
extension ICEAgent {
    private func isActive(_ index: Int) -> Bool {
        if case .connected(index, _) = self.phase { true } else { false }
    }

    private func timeout(of index: Int) -> TimeAmount {
        self.isActive(index) ? self.configuration.consentTimeout : self.configuration.standbyTimeout
    }

    /// When something is due on an available pair: the next request, or the end of the peer's silence.
    func livenessDeadline(of index: Int) -> NIODeadline? {
        let pair = self.checkList[index]
        guard pair.isAvailable, let next = pair.nextLivenessCheck else {
            return nil
        }
        guard let confirmedAt = pair.confirmedAt else {
            return next
        }
        return min(next, confirmedAt + self.timeout(of: index))
    }

    /// RFC 7675 §5.1: between 0.8 and 1.2 times the interval, so that sessions don't fall into step.
    mutating func scheduleLivenessCheck(of index: Int, at now: NIODeadline) {
        let interval =
            self.isActive(index) ? self.configuration.consentInterval : self.configuration.keepaliveInterval
        let jitter = Int64.random(in: 800...1200, using: &self.random)
        self.checkList[index].nextLivenessCheck = now + .nanoseconds(interval.nanoseconds / 1000 * jitter)
    }

    /// The process has stood still: for that time nobody was asked, so nobody's silence counts. Pairs that work get a few
    /// seconds to show that they still do.
    package mutating func resume(at now: NIODeadline) {
        for index in self.checkList.pairs.indices where self.checkList[index].isAvailable {
            let grace = now - self.timeout(of: index) + self.configuration.probeLifetime
            self.checkList[index].confirmedAt = max(self.checkList[index].confirmedAt ?? grace, grace)
            self.checkList[index].nextLivenessCheck = now
        }
    }

    /// Sends what is due, and gives up the pairs whose peer has been silent for too long.
    mutating func keepAlive(at now: NIODeadline) {
        for index in self.checkList.pairs.indices {
            let pair = self.checkList[index]
            guard self.phase != .failed, pair.isAvailable, let next = pair.nextLivenessCheck else {
                continue
            }
            let timeout = self.timeout(of: index)
            if let confirmedAt = pair.confirmedAt, now >= confirmedAt + timeout {
                self.failPair(index, .consentLost, at: now)
            } else if now >= next {
                // Each request is its own transaction, and never sent again. Its answer counts as long as consent lasts.
                self.sendRequest(on: index, for: .liveness, wait: timeout, at: now)
                self.scheduleLivenessCheck(of: index, at: now)
            }
        }
    }

    /// Of the valid pairs only the best few are kept alive besides the one in use.
    mutating func trimStandbyPairs() {
        let standby = self.checkList.pairs.indices
            .filter { self.checkList[$0].isAvailable && !self.isActive($0) }
            .sorted { self.checkList[$0].priority > self.checkList[$1].priority }
        for index in standby.dropFirst(self.configuration.standbyPairs) {
            self.checkList[index].nextLivenessCheck = nil
        }
    }
}
