internal import CNgtcp2
import NIOCore

/// Migration (RFC 9000 section 9) as the owner of the path needs it: congestion control and round-trip time start anew.
extension QUICConnection {
    /// Datagrams go another way from now on. Of a client it takes effect as soon as the handshake is confirmed and the peer
    /// has given out a connection id for it; a server, which may not migrate, takes the next packet of the client for one
    /// from a new path.
    func migrate(at now: NIODeadline) {
        guard self.context.role == .client else {
            if self.isHandshakeComplete { self.hasMoved = true }
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

    /// Whether a failure to send is left to the next packet of the client to mend.
    ///
    /// A server that has moved asks with small datagrams, as long as it has heard little from the new path, and then with
    /// large ones whether that carries those, too (RFC 9000 section 8.2.1); ngtcp2 gives up the connection when two of these
    /// are lost at one time. Here the owner of the path knows what it carries: the client's next packet counts as one from a
    /// new path, and all is asked again. Until then nothing can be sent; a client that has nothing to say sends its
    /// keep-alive.
    func awaitsNewPath(after code: Int32, at now: NIODeadline) -> Bool {
        guard code == NGTCP2_ERR_NO_VIABLE_PATH, self.context.role == .server, self.context.configuration.migrates
        else {
            return false
        }
        // Still so: nothing has come in since.
        if self.hasMoved, self.challengesLostAt != nil { return true }
        // Once more is once too often: a new connection does better.
        if let last = self.challengesLostAt, now - last < Self.challengeMemory { return false }
        self.challengesLostAt = now
        self.hasMoved = true
        return true
    }

    /// Losses that are so far apart have nothing to do with each other.
    private static var challengeMemory: TimeAmount { .seconds(60) }

    /// A server: where the datagrams that follow have come in; equal numbers are the same path. What came during the
    /// handshake counts as one path.
    func arrived(on arrival: UInt32) {
        guard self.context.role == .server, arrival != self.arrival || self.hasMoved else { return }
        self.hasMoved = false
        let isFirst = self.arrival == nil || !self.isHandshakeComplete
        self.arrival = arrival
        guard !isFirst else { return }
        self.pathNumber &+= 1
        self.path = OpaquePath(number: self.pathNumber, local: 0)
    }
}
