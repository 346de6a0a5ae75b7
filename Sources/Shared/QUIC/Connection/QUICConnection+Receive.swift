internal import CNgtcp2
import NIOCore

extension QUICConnection {
    /// Takes a datagram, or with `segmentSize` several behind each other.
    ///
    /// - Parameter arrival: the owner's name for the path that they came in by (servers).
    func receive(_ datagrams: ByteBuffer, segmentSize: Int?, on arrival: UInt32? = nil, at now: NIODeadline) {
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
        let known = self.statistics.pkt_recv
        let code = datagrams.withUnsafeReadableBytes { self.read($0, segmentSize: segmentSize, at: now) }
        // ngtcp2 counts packets of the handshake that come after it, and has no keys for them any more.
        let isLate = self.isHandshakeComplete && DatagramHeader.isLong(datagrams)
        let isAuthentic = self.statistics.pkt_recv != known && !isLate
        if isAuthentic {
            self.hasHeardPeer = true
            self.lastReceived = now
            self.unansweredSince = nil
        }
        guard code == 0 else { return self.fail(code, at: now) }
        if let arrival, isAuthentic || !self.isHandshakeComplete { self.arrived(on: arrival, at: now) }
        self.resetDelivered()
        self.resetCongestionIfPossible(at: now)
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
