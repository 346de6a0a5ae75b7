import ICE
import NIOCore

/// Guessing ports where ordinary checks do not get through.
extension PathSession {
    /// Once both sides know their NATs: whether guessing ports may help where ordinary checks don't.
    mutating func considerSpread(at now: NIODeadline) {
        guard self.spread == nil, let peer = self.peer, let mapping = self.mapping else { return }
        self.spread = SpreadRun(
            SpreadPlan(
                local: mapping, peer: peer.mapping, localSpread: self.configuration.spread, peerSpread: peer.spread),
            at: now)
    }

    /// Does what is due.
    mutating func continueSpread(at now: NIODeadline) {
        guard var spread = self.spread, now >= spread.nextDeadline else { return }
        // A pair that works, confirmed or not, makes the rest superfluous.
        guard self.selection.active == nil, !spread.isOver(at: now) else { return self.endSpread() }
        if spread.wantsToBegin {
            let remotes = self.remotesForSpread
            let places = self.configuration.resources.spreadPlaces
            guard !remotes.isEmpty, let place = places.take(for: self.owner) else { return self.endSpread() }
            let until = spread.begin(against: remotes, in: place, at: now)
            self.put(.note(.guessesPorts(spread.plan)))
            self.agent.holdOn(until: until)
        }
        let step = spread.step(at: now)
        self.spread = spread
        switch step {
        case .openSocket: self.put(.openSocket)
        case .probe(let port): self.probe(port, at: now)
        case nil: break
        }
    }

    /// One more port of the peer's NAT.
    private mutating func probe(_ port: UInt16, at now: NIODeadline) {
        guard var target = self.remotesForSpread.first?.address,
            let base = self.hosts.first(where: { $0.address.protocol == .inet })?.base,
            let check = self.agent.strayCheck(), self.configuration.resources.spreads.take(at: now)
        else { return }
        target.port = Int(port)
        // It is a guess that goes amiss; there are many.
        self.put(.transmit(check, segmentSize: nil, base: base, to: target))
    }

    /// A socket that was asked for is open: its datagram makes a hole in our NAT.
    mutating func spreadSocketOpened(_ base: LocalBaseID, port: Int, at now: NIODeadline) {
        guard self.selection.active == nil, let check = self.agent.strayCheck(),
            self.spread?.opened(base, port: port) ?? false
        else {
            return self.put(.closeSocket(base))
        }
        for remote in self.remotesForSpread.prefix(2) where self.configuration.resources.spreads.take(at: now) {
            self.put(.transmit(check, segmentSize: nil, base: base, to: remote.address))
        }
    }

    /// Whether a STUN message is for the session: a socket of the spread is none of its sockets until a check of the peer has
    /// come in on it.
    mutating func takesChecks(_ message: ByteBuffer, on base: LocalBaseID, at now: NIODeadline) -> Bool {
        guard self.spread?.holds(base) ?? false else { return true }
        guard self.agent.isCheckOfPeer(message),
            var host = self.hosts.first(where: { $0.address.protocol == .inet }),
            let port = self.spread?.release(base)
        else { return false }
        host.address.port = port
        host.base = base
        self.agent.addLocalCandidate(host, at: now)
        return true
    }

    /// Closes what has not become part of the session.
    mutating func endSpread() {
        for base in self.spread?.end() ?? [] { self.put(.closeSocket(base)) }
    }

    /// Where the peer's NAT is seen, or where the peer itself is; IPv4 only, as IPv6 has no such NATs.
    private var remotesForSpread: [ICECandidate] {
        let remotes = self.agent.remoteCandidates.filter { $0.address.protocol == .inet }
        let outside = remotes.filter { $0.kind == .serverReflexive }
        return outside.isEmpty ? remotes : outside
    }
}
