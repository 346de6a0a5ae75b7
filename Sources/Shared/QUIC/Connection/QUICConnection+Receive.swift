internal import CNgtcp2
import NIOCore

extension QUICConnection {
    /// Takes a datagram, or with `segmentSize` several behind each other.
    ///
    /// - Parameter arrival: the owner's name for the path that they came in by (``PathMoves``; of interest to servers).
    func receive(_ datagrams: ByteBuffer, segmentSize: Int?, on arrival: UInt32? = nil, at now: NIODeadline) {
        switch self.state {
        case .active:
            break
        case .closing(let until, var farewell):
            if farewell.answers() { self.flush.held = QUICTransmit(payload: farewell.packet, segmentSize: nil) }
            self.state = .closing(until: until, farewell)
            return
        case .draining, .terminated:
            return
        }
        let known = self.statistics.pkt_recv
        let code = datagrams.withUnsafeReadableBytes { self.read($0, segmentSize: segmentSize, at: now) }
        // ngtcp2 counts packets of the handshake that come after it, and has no keys for them any more.
        let isLate = self.isHandshakeComplete && DatagramHeader.isLong(datagrams)
        let isAuthentic = self.statistics.pkt_recv != known && !isLate
        if isAuthentic { self.contact.heard(at: now) }
        guard code == 0 else { return self.fail(code, at: now) }
        if let arrival, self.context.role == .server, isAuthentic || !self.isHandshakeComplete {
            self.moves.arrived(on: arrival, isHandshakeComplete: self.isHandshakeComplete, at: now)
        }
        self.resetDelivered()
        self.resetCongestionIfPossible(at: now)
    }

    /// Datagrams go another way from now on.
    func pathChanged(at now: NIODeadline) {
        self.moves.ownerTells(at: now)
        self.resetCongestionIfPossible(at: now)
    }

    private func resetCongestionIfPossible(at now: NIODeadline) {
        guard self.isHandshakeComplete, case .active = self.state, self.moves.takeReset() else { return }
        rtun_ngtcp2_conn_reset_congestion(self.handle, now.uptimeNanoseconds)
    }

    /// Gives the datagrams to ngtcp2 one by one, up to the first error that ends the connection.
    private func read(_ datagrams: UnsafeRawBufferPointer, segmentSize: Int?, at now: NIODeadline) -> Int32 {
        let step = max(segmentSize ?? datagrams.count, 1)
        var start = datagrams.bindMemory(to: UInt8.self).baseAddress
        var left = datagrams.count
        while left > 0, let datagram = start {
            let length = min(step, left)
            let code = CNgtcp2_conn_read_pkt(self.handle, OpaquePath.pointer, datagram, length, now.uptimeNanoseconds)
            guard code == 0 else { return code }
            start = datagram + length
            left -= length
        }
        return 0
    }
}
