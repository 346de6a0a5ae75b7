package import NIOCore
import STUN

/// What both sides tell us: candidates as they trickle in, credentials, and the end of candidates.
extension ICEAgent {
    /// Adds one of our candidates. `candidate.base` must be set.
    ///
    /// - Returns: whether it is new and the peer should be told. False when it is redundant (RFC 8445 §5.1.3), has no
    ///   usable address, or is one too many.
    @discardableResult
    package mutating func addLocalCandidate(_ candidate: ICECandidate, at now: NIODeadline) -> Bool {
        guard let base = candidate.base else {
            preconditionFailure("a local candidate needs its base")
        }
        guard self.phase != .failed, let address = Self.usableAddress(of: candidate) else {
            return false
        }
        let known = self.localCandidates.firstIndex {
            $0.base == base && TransportAddress($0.address) == address
        }
        if let known {
            guard self.localCandidates[known].kind == .peerReflexive, candidate.kind != .peerReflexive else {
                return false
            }
            self.localCandidates[known] = candidate
        } else {
            guard self.localCandidates.count < self.configuration.maximumLocalCandidates else {
                self.counters.overLimit += 1
                return false
            }
            self.localCandidates.append(candidate)
        }
        for remote in self.remoteCandidates {
            self.formPair(candidate, remote)
        }
        self.learnEarlyChecks(at: now)
        self.advance(at: now)
        return true
    }

    /// No more local candidates will come.
    package mutating func localCandidatesEnded(at now: NIODeadline) {
        self.localCandidatesAreComplete = true
        self.advance(at: now)
    }

    /// The peer's credentials. Checks begin; the time limit runs. Only the first call counts: there is no ICE restart.
    package mutating func setRemote(credentials: ICECredentials, at now: NIODeadline) {
        guard self.phase == .waitingForPeer else {
            return
        }
        self.remoteCredentials = credentials
        self.remoteKey = MessageIntegrityKey(Array(credentials.pwd.utf8), hmacSHA1: self.hmacSHA1)
        self.phase = .checking(since: now)
        self.learnEarlyChecks(at: now)
        self.advance(at: now)
    }

    /// Adds a candidate that the peer sent, before or after its credentials.
    ///
    /// - Returns: whether it is new. False for a duplicate, an address nobody can send to, or one too many.
    @discardableResult
    package mutating func addRemoteCandidate(_ candidate: ICECandidate, at now: NIODeadline) -> Bool {
        guard self.phase != .failed, let address = Self.usableAddress(of: candidate) else {
            return false
        }
        guard self.permitsRemote(candidate.address) else {
            self.counters.notPermitted += 1
            return false
        }
        var candidate = candidate
        candidate.base = nil
        if let known = self.remoteCandidates.firstIndex(where: { TransportAddress($0.address) == address }) {
            // A check was faster than signalling; now we hear what the candidate really is.
            guard self.remoteCandidates[known].kind == .peerReflexive, candidate.kind != .peerReflexive else {
                return false
            }
            // Keeps the address that worked: it may carry a scope id, which signalling does not.
            candidate.address = self.remoteCandidates[known].address
            self.remoteCandidates[known] = candidate
            self.peerReflexiveCount -= 1
            for index in self.checkList.pairs.indices where self.checkList[index].key.remote == address {
                self.checkList[index].remote = candidate
                self.checkList[index].updatePriority(role: self.role)
            }
        } else {
            guard self.remoteCandidates.count < self.configuration.maximumRemoteCandidates else {
                self.counters.overLimit += 1
                return false
            }
            self.remoteCandidates.append(candidate)
        }
        for local in self.localCandidates {
            self.formPair(local, candidate)
        }
        self.advance(at: now)
        return true
    }

    /// The peer has no more candidates.
    package mutating func remoteCandidatesEnded(at now: NIODeadline) {
        self.remoteCandidatesAreComplete = true
        self.advance(at: now)
    }

    // MARK: Pairs

    /// The address if datagrams can be sent to it.
    private static func usableAddress(of candidate: ICECandidate) -> TransportAddress? {
        guard let address = TransportAddress(candidate.address), address.port != 0, !address.isUnspecified,
            !address.isMulticastOrBroadcast
        else {
            return nil
        }
        return address
    }

    /// RFC 8445 §6.1.2.2: same family; IPv6 link-local only with its like. And a loopback address of the peer's is
    /// believed only when we have one too: otherwise it would make us knock on this machine's own ports.
    static func canPair(_ local: TransportAddress, _ remote: TransportAddress) -> Bool {
        local.family == remote.family
            && local.isIPv6LinkLocal == remote.isIPv6LinkLocal
            && (local.isLoopback || !remote.isLoopback)
    }

    /// Makes the pair of two candidates unless it exists, there is no room, or they can't talk.
    @discardableResult
    mutating func formPair(_ local: ICECandidate, _ remote: ICECandidate) -> Int? {
        guard let base = local.base, let source = TransportAddress(local.address),
            let destination = TransportAddress(remote.address), Self.canPair(source, destination)
        else {
            return nil
        }
        let key = CandidatePair.Key(base: base, remote: destination)
        if let index = self.checkList.index(of: key) {
            // The best candidate of the base stands for the pair (RFC 8445 §6.1.2.4).
            if self.checkList[index].isUntried, self.checkList[index].local.priority < local.priority {
                self.checkList[index].local = local
                self.checkList[index].updatePriority(role: self.role)
            }
            return index
        }
        let pair = CandidatePair(key: key, local: local, remote: remote, role: self.role)
        guard let index = self.checkList.insert(pair) else {
            self.counters.overLimit += 1
            return nil
        }
        return index
    }
}
