internal import CNgtcp2
import NIOCore
import TLS

/// Migration (RFC 9000 section 9) as the owner of the path needs it: congestion control and round-trip time start anew.
extension QUICConnection {
    /// Datagrams go another way from now on. Of a client it takes effect as soon as the handshake is confirmed and the peer
    /// has given out a connection id for it; a server, which may not migrate, takes the next packet of the client for one
    /// from a new path, unless it has come from one a moment ago: that was the same move.
    func migrate(at now: NIODeadline) {
        guard self.context.role == .client else {
            let hasJustChanged = self.leftArrivals.last.map { now - $0.at < Self.overtakenTime } ?? false
            if self.isHandshakeComplete, !hasJustChanged { self.hasMoved = true }
            return
        }
        self.wantsMigration = true
        self.migrateIfPossible(at: now)
    }

    /// Called where something may have come in that makes it possible.
    func migrateIfPossible(at now: NIODeadline) {
        guard self.wantsMigration, self.context.role == .client, case .active = self.state else { return }
        let next = OpaquePath(number: self.pathNumber &+ 1)
        let code = ngtcp2_conn_initiate_immediate_migration(self.handle, next.pointer, now.uptimeNanoseconds)
        switch code {
        case 0:
            self.wantsMigration = false
            self.pathNumber &+= 1
            self.path = next
        case NGTCP2_ERR_INVALID_STATE, NGTCP2_ERR_CONN_ID_BLOCKED:
            break  // Not yet.
        default:
            self.wantsMigration = false
            if ngtcp2_err_is_fatal(code) != 0 { self.fail(code, at: now) }
        }
    }

    /// A server: where the datagrams that follow have come in; equal numbers are the same path. What came during the
    /// handshake counts as one path.
    ///
    /// Datagrams that were overtaken on the way by the first ones of a new path make it neither old again nor new once more:
    /// each change starts congestion control anew and uses up a connection id.
    func arrived(on arrival: UInt32, at now: NIODeadline) {
        guard self.context.role == .server, arrival != self.arrival || self.hasMoved else { return }
        self.leftArrivals.removeAll { now - $0.at >= Self.overtakenTime }
        guard !self.leftArrivals.contains(where: { $0.number == arrival }) else { return }
        let isFirst = self.arrival == nil || !self.isHandshakeComplete
        if !isFirst, let last = self.arrival, last != arrival { self.leftArrivals.append((last, now)) }
        self.arrival = arrival
        self.hasMoved = false
        // A path that nothing has made the current one yet will do for this change, too.
        guard !isFirst, self.isPathCurrent else { return }
        guard self.mayLeavePath(at: now) else {
            self.hasMoved = true
            return
        }
        self.pathNumber &+= 1
        self.path = OpaquePath(number: self.pathNumber)
        self.isPathUnvalidated = true
        self.pathChangedAt = now
    }

    /// Whether ngtcp2 is in a state for a change of path.
    ///
    /// It answers PATH_CHALLENGE on the path that it came by. On one that was left before that, it would try for ever, and use
    /// up connection ids with it. And it aborts the process when too many of these are retired that the peer does not
    /// acknowledge.
    private func mayLeavePath(at now: NIODeadline) -> Bool {
        guard !self.mayHaveRetiredMany else { return false }
        guard let challenge = self.challenge else { return true }
        let wait = challenge.hadRoomToAnswer ? max(Self.pacedTime, self.smoothedRTT) : Self.answerTime
        return now - challenge.at >= wait
    }

    /// Whether ngtcp2 sends by `path`: from the client's next packet on, if it says more than PATH_CHALLENGE.
    private var isPathCurrent: Bool { ngtcp2_path_eq(ngtcp2_conn_get_path(self.handle), self.path.pointer) != 0 }

    private var mayHaveRetiredMany: Bool { self.connectionIDsSinceQuiet >= Self.maximumConnectionIDs }

    /// Where ngtcp2 is told that a datagram came in. A path that is not the current one yet must not become it when that may
    /// not be left any more.
    var readingPath: OpaquePath {
        guard self.mayHaveRetiredMany, let current = ngtcp2_conn_get_path(self.handle) else { return self.path }
        return OpaquePath(copying: current)
    }

    /// A server, after each datagram on a path that it is still asking about: lifts the limit on what it may send there.
    ///
    /// A server may send three times what it has received from an address that has not been validated (RFC 9000 section
    /// 8.1). Ours has been, by ICE, or is the bridge, and the owner's datagrams go nowhere else. Held to the limit, a server
    /// whose client says little could hardly send until the path is validated; and it would have to ask with small datagrams
    /// first, then again with large ones (section 8.2.1), the loss of which ngtcp2 takes for the end of the connection
    /// (NO_VIABLE_PATH). When large ones are all that is asked with, and get lost, the path is only asked about again, at the
    /// client's next packet. ngtcp2 has no call that says so, but counts whatever comes in, before it looks at it.
    func vouch(for path: OpaquePath, at now: NIODeadline) {
        guard self.isPathUnvalidated, self.context.configuration.migrates else { return }
        _ = Self.discardedPacket.withUnsafeBufferPointer { packet in
            CNgtcp2_conn_read_pkt(
                self.handle, path.pointer, packet.baseAddress, packet.count, now.uptimeNanoseconds)
        }
    }

    /// The client asks whether its path is good, with PATH_CHALLENGE (servers).
    ///
    /// ngtcp2 0.12 counts the answer as in flight, padded as it is, but sets no timer for it: answers that got lost would fill
    /// a small congestion window for ever. What else is in the packet sets it.
    func challengeReceived(at now: NIODeadline) {
        // The one before is still waiting for its packet, or has had one.
        if self.challenge?.hadRoomToAnswer != false { self.giveToken() }
        self.challenge = (now, false)
    }

    /// Has a token for later connections (RFC 9000 section 8.1.3) sent to the client of a tunnel, which has no use for it:
    /// something that has to be acknowledged, and is sent again until it is. Other servers know no such tokens.
    func giveToken() {
        guard self.context.role == .server, self.context.configuration.migrates, self.isHandshakeComplete else {
            return
        }
        // Fails only for want of memory, which the next write reports.
        var token: UInt8 = 0
        _ = ngtcp2_conn_submit_new_token(self.handle, &token, 1)
    }

    /// What ngtcp2 says about our question whether the peer receives on a path (RFC 9000 section 8.2).
    func recordPathValidation(of path: UnsafePointer<ngtcp2_path>?, _ result: ngtcp2_path_validation_result) {
        guard self.context.role == .server else {
            if result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS { self.wantAcknowledgement() }
            return
        }
        if result == NGTCP2_PATH_VALIDATION_RESULT_FAILURE { self.wantAcknowledgement() }
        // The answer may be about a path that has been left.
        guard ngtcp2_path_eq(path, self.path.pointer) != 0 else { return }
        switch result {
        case NGTCP2_PATH_VALIDATION_RESULT_SUCCESS:
            self.isPathUnvalidated = false
        case NGTCP2_PATH_VALIDATION_RESULT_FAILURE:
            self.isPathUnvalidated = true
        default:
            break  // Given up.
        }
    }

    /// Has PING sent, unless there is something else that the peer has to acknowledge.
    ///
    /// When the answer to our question about a path has come (clients) or has not (servers), ngtcp2 starts congestion control
    /// anew, and with that stops the timer that detects losses. What is under way and lost would stay so until something
    /// else is sent: a client that has asked for something just before a move would wait for the next keep-alive. Sending
    /// sets the timer, and the acknowledgement shows at once what has been lost before. ngtcp2 has no call that says so.
    private func wantAcknowledgement() {
        self.acknowledgementWantedSince = self.statistics.last_tx_pkt_ts.2
        ngtcp2_conn_set_keep_alive_timeout(self.handle, 1)
    }

    /// Called when something has been sent.
    func noteAcknowledgementAsked() {
        guard let since = self.acknowledgementWantedSince, self.statistics.last_tx_pkt_ts.2 != since else { return }
        self.acknowledgementWantedSince = nil
        ngtcp2_conn_set_keep_alive_timeout(self.handle, self.keepAliveTimeout)
    }

    /// Whether congestion control lets nothing go, and nothing is waited for that could change that. `provideProbe` and
    /// `challengeReceived` are there to prevent it, but a client cannot do what they do.
    var isStuck: Bool {
        self.isHandshakeComplete && ngtcp2_conn_get_cwnd_left(self.handle) == 0
            && self.statistics.loss_detection_timer == .max
    }

    /// Starts congestion control anew where it is stuck: now, or at a server with what the client sends next. Returns whether
    /// that has been done now.
    func startAnew(at now: NIODeadline) -> Bool {
        let path = self.pathNumber
        self.migrate(at: now)
        return self.pathNumber != path
    }

    /// All has been written that may be for now.
    func pathFlushed() {
        if self.challenge != nil, self.isPathCurrent, ngtcp2_conn_get_cwnd_left(self.handle) > 0 {
            self.challenge?.hadRoomToAnswer = true
        }
        self.hasWrittenAll = true
    }

    /// Called before anything is read: whether all that was sent has been acknowledged, ids that were given back included.
    /// There is nothing under way, nothing left to write, and pacing has held nothing up for a round trip.
    func noteQuiet(at now: NIODeadline) {
        defer { self.hasWrittenAll = false }
        guard self.connectionIDsSinceQuiet > 0, self.hasWrittenAll, let lastSent = self.lastSent else { return }
        let statistics = self.statistics
        // ngtcp2 forgets what is in flight when the path changes, and sets the timer with what it sends next.
        guard statistics.bytes_in_flight == 0, statistics.loss_detection_timer == .max, lastSent > self.pathChangedAt,
            now - lastSent > max(.nanoseconds(Int64(clamping: statistics.smoothed_rtt)), .milliseconds(10))
        else { return }
        self.connectionIDsSinceQuiet = 0
    }

    /// For how long after a change datagrams may still come in by the path before. A bridge keeps them for less.
    private static var overtakenTime: TimeAmount { .seconds(1) }
    /// More than what pacing holds up a packet for, if a round trip takes no longer.
    private static var pacedTime: TimeAmount { .milliseconds(500) }
    /// More than what congestion control may hold up a PATH_RESPONSE for on a path that is alive.
    private static var answerTime: TimeAmount { .seconds(30) }
    /// ngtcp2 has room for 16 ids that were given back and not acknowledged.
    private static var maximumConnectionIDs: Int { 7 }

    /// A Version Negotiation packet, which ngtcp2 drops at a server, once it has seen that its end is no stateless reset token.
    /// Three times its size is more than congestion control lets go between two packets of the client so soon after a move.
    private static let discardedPacket: [UInt8] =
        [0xC0] + [UInt8](repeating: 0, count: (32 << 10) - 17) + SecureRandom.bytes(16)
}
