package import NIOCore

/// The choice among paths, and the reasons to make it anew.
extension PathEngine {
    /// The best way there is now: a direct path that is known to work; else the bridge; else what ICE has found, which is all
    /// there is before the first confirmation when nothing is bridged.
    private var bestRoute: PathRoute? {
        if self.bridge.peerHasLeft { return .bridge }
        return self.directRoute(.confirmed)
            ?? (self.bridge.availability == .up ? .bridge : self.directRoute(.unconfirmed))
    }

    private func directRoute(_ standing: DirectPath.Standing) -> PathRoute? {
        for session in self.sessions.list {
            guard let path = session.selection.active, path.standing == standing else { continue }
            return .direct(
                PathBase(generation: session.generation, base: path.pair.base), remote: path.pair.remoteAddress,
                path.description)
        }
        return nil
    }

    /// Something has changed that the choice depends on.
    mutating func choose(_ reason: PathChangeReason, at now: NIODeadline) {
        guard self.course != .over else { return }
        let old = self.route?.path
        self.route = self.bestRoute
        self.sessions.considerRetirement(at: now)
        self.presence.update(self.route != nil, patience: self.configuration.pathLossTimeout, at: now)
        guard self.route?.path != old else { return }
        self.announcedLimit = self.maximumDatagramSize
        if self.usesDirectPath { self.foundDirectPath() }
        self.put(.pathChanged(from: old, to: self.route?.path, reason))
        if self.route == nil, self.course == .connected { self.want(.session, at: now) }
    }

    mutating func changeBridge(at now: NIODeadline, _ body: (inout BridgeState) -> Void) {
        let old = self.bridge.availability
        body(&self.bridge)
        guard self.bridge.availability != old else { return }
        self.choose(self.bridge.availability == .up ? .bridgeUp : .bridgeDown, at: now)
    }

    // MARK: Reasons

    /// The control connection has come up or was lost.
    ///
    /// - Parameter bridges: whether its server carries datagrams.
    package mutating func signalChanged(isUp: Bool, bridges: Bool, at now: NIODeadline) {
        let isBack = isUp && !self.bridge.signalIsUp
        self.changeBridge(at: now) {
            $0.signalIsUp = isUp
            if isUp { $0.serverBridges = bridges }
        }
        // The server has forgotten the channel along with the connection that it was set up on.
        if isBack { self.restoreRoute(at: now) }
        self.settle(at: now)
    }

    /// At a client: the agent is registered again, and the server knows nothing of the channel, as above. While it was not,
    /// restarts failed, and the next one may be seconds away.
    package mutating func agentCameBack(at now: NIODeadline) {
        self.client?.schedule.forgetFailures()
        self.restoreRoute(at: now)
        self.settle(at: now)
    }

    private mutating func restoreRoute(at now: NIODeadline) {
        guard self.course == .connected else { return }
        self.want(self.usesDirectPath ? .route : .session, at: now)
    }

    /// The carrier misses answers, or has heard of the peer again. While it misses them, the path is looked at every second.
    package mutating func suspicionChanged(isSuspect: Bool, at now: NIODeadline) {
        if isSuspect {
            self.silence.begin(at: now)
            self.lookAtSilence(at: now)
        } else if self.silence.end() {
            // After a long silence round trips look as long as that was, and everything waits for them.
            self.put(.forgetRoundTrips)
        }
        self.settle(at: now)
    }

    mutating func lookAtSilence(at now: NIODeadline) {
        guard let look = self.silence.look(at: now) else { return }
        self.suspect(at: now)
        // On the bridge it may be that the agent has come back by another connection.
        if look == .longer, case .bridge = self.route { self.want(.route, at: now) }
    }

    private mutating func suspect(at now: NIODeadline) {
        if let index = self.routedSession { self.sessions[index].suspect(at: now) }
    }

    /// This machine's addresses or routes have changed, or it has slept.
    ///
    /// - Parameters:
    ///   - isRerouted: whether that concerns every path.
    ///   - hasLost: whether an address is gone.
    package mutating func networkChanged(isRerouted: Bool, hasLost: (SocketAddress) -> Bool, at now: NIODeadline) {
        guard self.course == .connected else { return }
        self.suspect(at: now)
        // A direct path that nothing of this concerns is left alone.
        if !self.usesDirectPath || isRerouted || self.routeLeaves(from: hasLost) { self.wantSession(at: now) }
        self.settle(at: now)
    }

    /// Whether the direct path in use leaves from an address of which `hasLost` is true.
    private func routeLeaves(from hasLost: (SocketAddress) -> Bool) -> Bool {
        guard let pair = self.activePath?.pair else { return false }
        // Seen from the peer, `local` may be the outside of a NAT: what counts is the address inside.
        let inside = pair.local.kind == .host ? pair.local.address : pair.local.relatedAddress
        return inside.map(hasLost) ?? false
    }

    // MARK: Datagrams of the protocol above

    /// So many datagrams are sent at once by the direct path in use.
    ///
    /// - Returns: whether they may leave in one send, and whether `flush` is to be called when the sender is done.
    package mutating func sends(_ datagrams: Int, at now: NIODeadline) -> (together: Bool, wantsMore: Bool) {
        guard let index = self.routedSession else { return (false, false) }
        let together = self.sessions[index].sends(datagrams, at: now)
        return (together, self.sessions[index].wantsBurst)
    }

    /// A datagram of full size did not fit through the first hop: `flush` is to be called when the sender is done.
    package mutating func sentTooLarge(at now: NIODeadline) {
        if let index = self.routedSession { self.sessions[index].updateCeiling(at: now) }
    }

    /// Whether datagrams of the protocol above are the peer's.
    ///
    /// - Returns: the number of the way by which they came; nil for those of strangers.
    package mutating func accept(from source: SocketAddress, on base: PathBase, at now: NIODeadline) -> UInt32? {
        guard let index = self.sessions.index(of: base.generation),
            self.sessions[index].isPeer(source, on: base.base)
        else { return nil }
        if self.bridge.following?.cameStraight(at: now) ?? false { self.choose(.confirmed, at: now) }
        return self.arrivals.number(of: source, on: base)
    }

    /// The same for what comes by way of the server.
    package mutating func acceptFromBridge(at now: NIODeadline) -> UInt32? {
        guard self.course != .over, self.bridge.availability != .unavailable else { return nil }
        if let index = self.routedSession, self.bridge.following?.cameByBridge(at: now) ?? false {
            self.sessions[index].suspect(at: now)
            self.choose(.peerLeft, at: now)
            self.settle(at: now)
        }
        return ArrivalNumbers.bridge
    }
}
