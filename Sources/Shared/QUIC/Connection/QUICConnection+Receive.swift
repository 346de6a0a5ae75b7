internal import CNgtcp2
import NIOCore

extension QUICConnection {
    /// Takes a datagram, or with `segmentSize` several behind each other.
    func receive(_ datagrams: ByteBuffer, segmentSize: Int?, at now: NIODeadline) {
        switch self.state {
        case .active:
            break
        case .closing(_, let packet):
            self.packetsWhileClosing += 1
            // Answered ever more rarely (RFC 9000 §10.2.1): at the 1st, 2nd, 4th, 8th… packet.
            if self.packetsWhileClosing & (self.packetsWhileClosing - 1) == 0 {
                self.heldTransmit = QUICTransmit(payload: packet, segmentSize: nil)
            }
            return
        case .draining, .terminated:
            return
        }
        self.noteQuiet(at: now)
        // The second packet number space is that of the handshake. ngtcp2 forgets this time along with its keys.
        let isServer = self.context.role == .server
        if !isServer, self.hasLeftHandshake, !self.hasEndedHandshake, self.statistics.last_tx_pkt_ts.1 != .max {
            self.hasEndedHandshake = true
        }
        var observation = PacketObservation(self.packetNumbers)
        observation.dropsEarly = !isServer && !self.hasEndedHandshake
        let code = PacketObserver.observe(&observation) {
            datagrams.withUnsafeReadableBytes { self.read($0, segmentSize: segmentSize, at: now) }
        }
        if observation.authenticated > 0 {
            self.hasHeardPeer = true
            self.lastReceived = now
            self.unansweredSince = nil
        }
        if isServer {
            if observation.hasPathChallenge { self.challengeReceived(at: now) }
            self.connectionIDsSinceQuiet += observation.connectionIDs
        }
        if let violation = observation.violation {
            let code = violation == .unreadable ? NGTCP2_ERR_FRAME_ENCODING : NGTCP2_ERR_PROTO
            return self.fail(code, because: "the peer has sent \(violation.rawValue)", at: now)
        }
        guard code == 0 else { return self.fail(code, at: now) }
        self.resetDelivered()
        self.migrateIfPossible(at: now)
        for stop in observation.stops {
            self.recordStreamStopped(id: stop.streamID, code: stop.code)
        }
    }

    /// Gives the datagrams to ngtcp2 one by one, up to the first error that ends the connection.
    private func read(_ datagrams: UnsafeRawBufferPointer, segmentSize: Int?, at now: NIODeadline) -> Int32 {
        let step = max(segmentSize ?? datagrams.count, 1)
        var start = datagrams.bindMemory(to: UInt8.self).baseAddress
        var left = datagrams.count
        let path = self.readingPath
        while left > 0, let datagram = start {
            let length = min(step, left)
            let code = CNgtcp2_conn_read_pkt(self.handle, path.pointer, datagram, length, now.uptimeNanoseconds)
            guard code == 0 else { return code }
            self.vouch(for: path, at: now)
            start = datagram + length
            left -= length
        }
        return 0
    }
}
