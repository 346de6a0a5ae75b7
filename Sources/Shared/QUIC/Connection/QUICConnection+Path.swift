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

    /// A server: where the datagrams that follow have come in; equal numbers are the same path. What came during the
    /// handshake counts as one path.
    ///
    /// Datagrams that were overtaken on the way by the first ones of a new path make it neither old again nor new once more:
    /// each change starts congestion control anew and uses up a connection id.
    func arrived(on arrival: UInt32, at now: NIODeadline) {
        guard self.context.role == .server, arrival != self.arrival || self.hasMoved else { return }
        if arrival == self.leftArrival?.number, let left = self.leftArrival, now - left.at < Self.overtakenTime {
            return
        }
        let isFirst = self.arrival == nil || !self.isHandshakeComplete
        if !isFirst, let last = self.arrival, last != arrival { self.leftArrival = (last, now) }
        self.arrival = arrival
        self.hasMoved = false
        // A path that nothing has made the current one yet will do for this change, too.
        guard !isFirst, ngtcp2_path_eq(ngtcp2_conn_get_path(self.handle), self.path.pointer) != 0 else { return }
        // ngtcp2 answers on the path that a question came by. From one that is left before, it never could, and would use up
        // connection ids with trying: put off until it has answered.
        if let challenge, now - challenge.at < (challenge.hadRoomToAnswer ? Self.pacedTime : Self.answerTime) {
            self.hasMoved = true
            return
        }
        self.pathNumber &+= 1
        self.path = OpaquePath(number: self.pathNumber)
        self.isPathUnvalidated = true
    }

    /// A server, after each datagram on a path that it is still asking about: lifts the limit on what it may send there.
    ///
    /// A server may send three times of what it has received from an address that has not been validated (RFC 9000 section
    /// 8.1). Ours has been: ICE has seen it answer, and the owner's datagrams go nowhere else. Held to the limit, a server
    /// whose client says little could hardly send until the path is validated; and it would have to ask with small datagrams
    /// first, then again with large ones (section 8.2.1), the loss of which ngtcp2 takes for the end of the connection
    /// (NO_VIABLE_PATH). Asked with large ones from the start, it goes on as it did when no answer comes, and asks again at
    /// the client's next packet. ngtcp2 has no call that says so, but counts whatever comes in, before it looks at it.
    func vouchForPath(at now: NIODeadline) {
        guard self.isPathUnvalidated, self.context.role == .server, self.context.configuration.migrates else { return }
        _ = Self.discardedPacket.withUnsafeBufferPointer { packet in
            CNgtcp2_conn_read_pkt(
                self.handle, self.path.pointer, packet.baseAddress, packet.count, now.uptimeNanoseconds)
        }
    }

    /// What ngtcp2 says about our question whether the peer receives on a path (RFC 9000 section 8.2).
    func recordPathValidation(of path: UnsafePointer<ngtcp2_path>?, _ result: ngtcp2_path_validation_result) {
        // The answer may be about a path that has been left.
        guard ngtcp2_path_eq(path, self.path.pointer) != 0 else { return }
        switch result {
        case NGTCP2_PATH_VALIDATION_RESULT_SUCCESS: self.isPathUnvalidated = false
        case NGTCP2_PATH_VALIDATION_RESULT_FAILURE: self.isPathUnvalidated = true
        default: break  // Given up in favour of a newer path.
        }
    }

    /// For how long after a change datagrams may still come in by the path before. A bridge keeps them for less.
    private static var overtakenTime: TimeAmount { .seconds(1) }

    /// More than what pacing holds up a PATH_RESPONSE for.
    private static var pacedTime: TimeAmount { .milliseconds(500) }
    /// More than what congestion control may hold one up for on a path that is alive.
    private static var answerTime: TimeAmount { .seconds(5) }

    /// A Version Negotiation packet, which a server drops unread (RFC 9000 section 6.1). Three times its size is more than
    /// congestion control lets go between two packets of the client so soon after a move.
    private static let discardedPacket: [UInt8] = [0xC0] + [UInt8](repeating: 0, count: (32 << 10) - 1)
}
