package import ICE
package import NIOCore

/// The life of ICE sessions: their sockets, what arrives there, and what they find.
extension PathEngine {
    /// The sockets of a session are open.
    ///
    /// - Parameter hosts: every host candidate of every socket, with the socket's port.
    package mutating func socketsOpened(generation: UInt32, hosts: [ICECandidate], at now: NIODeadline) {
        let session = PathSession(
            generation: generation, hosts: hosts, role: self.iceRole, configuration: self.configuration, at: now)
        switch self.course {
        case .over: self.put(.closeSockets(generation: generation))
        case .opening:
            self.adopt(session, at: now)
            self.describe()
        case .open, .connected: self.opened(session, generation, at: now)
        }
        self.settle(at: now)
    }

    /// They could not be opened.
    package mutating func socketsFailed(generation: UInt32, at now: NIODeadline) {
        switch self.course {
        case .over: break
        case .opening where self.bridge.bridgesHere: self.describe()
        case .opening: self.end(.sockets)
        case .open, .connected: self.opened(nil, generation, at: now)
        }
        self.settle(at: now)
    }

    /// The first session has its sockets, or there will be none.
    mutating func describe() {
        self.course = .open
        self.put(.described)
        if let session = self.sessions.newest {
            self.put(.lookUpServers(generation: session.generation))
        } else {
            self.put(.endOfCandidates(generation: 0, .unknown))
        }
    }

    /// A session becomes the one that new candidates are for.
    mutating func adopt(_ session: PathSession, at now: NIODeadline) {
        if let closed = self.sessions.adopt(session) { self.put(.closeSockets(generation: closed)) }
        self.choose(.found, at: now)
    }

    /// A session that was asked for begins: the peer knows of it, and has described its own.
    mutating func begin(_ session: PathSession, with peer: PathDescription, at now: NIODeadline) {
        self.sessions.generation = session.generation
        self.sessions.hasFoundDirectPath = false
        self.adopt(session, at: now)
        let answersPadding = self.peer.answersPadding
        self.with(session.generation) { $0.start(peer, answersPadding: answersPadding, at: now) }
    }

    /// Changes a session, if it lives.
    mutating func with(_ generation: UInt32, _ body: (inout PathSession) -> Void) {
        if let index = self.sessions.index(of: generation) { body(&self.sessions[index]) }
    }

    // MARK: What happens at sockets

    /// Tells a session, if it lives, and does what follows.
    private mutating func tell(_ generation: UInt32, at now: NIODeadline, _ body: (inout PathSession) -> Void) {
        self.with(generation, body)
        self.settle(at: now)
    }

    /// STUN servers are about to be asked: `unresolved` calls of `resolved` follow.
    package mutating func gather(generation: UInt32, unresolved: Int, at now: NIODeadline) {
        self.tell(generation, at: now) { $0.gather(unresolved: unresolved, at: now) }
    }

    /// One list of STUN servers; empty when a name has no address.
    package mutating func resolved(generation: UInt32, servers: [SocketAddress], at now: NIODeadline) {
        self.tell(generation, at: now) { $0.resolved(servers, at: now) }
    }

    /// A socket for a spread is open.
    package mutating func spreadSocketOpened(_ base: PathBase, port: Int, at now: NIODeadline) {
        if self.sessions.index(of: base.generation) == nil { self.put(.closeSocket(base)) }
        self.tell(base.generation, at: now) { $0.spreadSocketOpened(base.base, port: port, at: now) }
    }

    /// A datagram did not leave this machine.
    package mutating func sendFailed(
        _ error: any Error, from base: PathBase, to remote: SocketAddress, at now: NIODeadline
    ) {
        self.tell(base.generation, at: now) { $0.sendFailed(error, on: base.base, to: remote, at: now) }
    }

    /// All sockets of a session are gone.
    package mutating func socketsLost(generation: UInt32, at now: NIODeadline) {
        if self.client?.asked?.generation == generation { self.withdrawAsked() }
        self.failed(generation, .sockets, at: now)
        self.settle(at: now)
    }

    /// A STUN message has arrived at a socket.
    package mutating func receive(
        _ message: ByteBuffer, on base: PathBase, from source: SocketAddress, at now: NIODeadline
    ) {
        if self.sessions.index(of: base.generation) == nil {
            self.receiveAsked(message, on: base, from: source, at: now)
        }
        self.tell(base.generation, at: now) { $0.receive(message, on: base.base, from: source, at: now) }
    }

    // MARK: What follows

    /// Sends what `sends` has found wanting, now that the protocol above is done with sending.
    package mutating func flush(at now: NIODeadline) {
        if let index = self.routedSession { self.sessions[index].advance(at: now) }
        self.settle(at: now)
    }

    /// Takes what the sessions have to say, and does what the state of things asks for.
    mutating func settle(at now: NIODeadline) {
        while let (generation, output) = self.nextSessionOutput() { self.handle(output, of: generation, at: now) }
        guard self.course != .over else { return }
        self.handleRoleTimeout(at: now)
        guard self.maximumDatagramSize != self.announcedLimit else { return }
        // Sessions measure a path at any time, also one that was in use before it was confirmed, so that the limit is compared
        // with what was told and not with what it was before a call.
        self.announcedLimit = self.maximumDatagramSize
        self.put(.limitChanged)
    }

    private mutating func nextSessionOutput() -> (UInt32, PathSession.Output)? {
        for index in self.sessions.list.indices {
            if let output = self.sessions[index].nextOutput() { return (self.sessions[index].generation, output) }
        }
        return self.nextAskedOutput()
    }

    private mutating func handle(_ output: PathSession.Output, of generation: UInt32, at now: NIODeadline) {
        switch output {
        case .transmit(let bytes, let segmentSize, let base, let remote):
            let base = PathBase(generation: generation, base: base)
            self.put(.transmit(bytes, segmentSize: segmentSize, from: base, to: remote))
        case .gathered(let candidate): self.put(.candidate(candidate, generation: generation))
        case .gatheringEnded(let mapping):
            self.localMapping = mapping
            self.put(.endOfCandidates(generation: generation, mapping))
        case .pathsChanged(let reason):
            self.choose(reason, at: now)
            guard let session = self.sessions.index(of: generation).map({ self.sessions[$0] }),
                session.confirmed == nil, reason != .found, !session.isSearching
            else { return }
            self.directPathFailed(session.report, at: now)
        case .openSocket: self.put(.openSpreadSocket(generation: generation))
        case .closeSocket(let base): self.put(.closeSocket(PathBase(generation: generation, base: base)))
        case .note(let note): self.put(.note(note))
        case .failed(let report): self.failed(generation, .noPath(report), at: now)
        }
    }

    /// A session has come to its end.
    private mutating func failed(_ generation: UInt32, _ failure: PathFailure, at now: NIODeadline) {
        guard let index = self.sessions.index(of: generation) else { return }
        let (isNewest, report) = (index == 0, self.sessions[index].report)
        self.sessions.remove(generation)
        self.put(.closeSockets(generation: generation))
        self.choose(.failed, at: now)
        guard isNewest else { return }
        if self.route == nil, !self.presence.hasBeenThere, self.bridge.availability != .down {
            self.end(failure)
        } else {
            self.directPathFailed(report, at: now)
        }
    }

    /// The search for a direct path has failed, or the path that was found did.
    private mutating func directPathFailed(_ report: ICEReport, at now: NIODeadline) {
        // A newer session has come to nothing, and the one before carries on.
        if self.usesDirectPath { return self.foundDirectPath() }
        let wasFound = self.sessions.hasFoundDirectPath
        if !wasFound { self.put(.noDirectPath(self.pathReport(report))) }
        // A peer that names no address wants none.
        guard wasFound || !report.remoteCandidates.isEmpty else { return }
        self.lookAgain(wasFound: wasFound, at: now)
    }

    /// The newest session has a path that works, or had it when another one failed.
    mutating func foundDirectPath() {
        self.sessions.hasFoundDirectPath = true
        self.client?.schedule.forgetFailures()
    }

    /// What was tried, and what is known of why that was not enough.
    package func pathReport(_ report: ICEReport) -> PathReport {
        let plan = SpreadPlan(
            local: self.localMapping, peer: self.peer.mapping, localSpread: self.configuration.spread,
            peerSpread: self.peer.spread)
        var obstacle: SpreadObstacle?
        if case .none(let reason) = plan, reason != .notNeeded { obstacle = reason }
        return PathReport(
            ice: report, localMapping: self.localMapping, peerMapping: self.peer.mapping, obstacle: obstacle)
    }
}
