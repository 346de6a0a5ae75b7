internal import CNgtcp2
import NIOCore

/// Building packets, and putting equal-sized ones together for UDP GSO.
extension QUICConnection {
    /// Most segments that Linux takes in one GSO send (UDP_MAX_SEGMENTS before 6.9).
    private static let maxSegments = 64
    /// Packets in flight that need not be paced: the initial congestion window (RFC 9002 §7.2, §7.7).
    private static let unpacedPackets = 10
    /// Pieces of the data of one STREAM frame.
    private static let vectorCapacity = 8

    /// The next datagrams to send; nil when there is nothing to send now, or congestion control and pacing do not
    /// allow it yet.
    func nextTransmit(at now: NIODeadline) -> QUICTransmit? {
        if let held = self.flush.held {
            self.flush.held = nil
            return held
        }
        guard case .active = self.state, !self.flush.isDrained else {
            self.flush.end(hasBulk: self.hasBulk)
            return nil
        }
        let statistics = self.statistics
        self.offloadDoubt.judge(
            lost: statistics.pkt_lost, at: now,
            wait: max(.nanoseconds(Int64(clamping: statistics.smoothed_rtt)) * 3, .milliseconds(100)))
        var buffer = self.flush.takeBuffer(hasBulk: self.hasBulk)
        let batch = buffer.withUnsafeMutableWritableBytes { target in
            self.fill(target.bindMemory(to: UInt8.self), at: now)
        }
        buffer.moveWriterIndex(forwardBy: batch.bytes)
        self.flush.filled(buffer, bytes: batch.bytes, isLast: batch.isLast)
        self.pace(at: now)
        let mayOffload =
            !self.offloadDoubt.isFounded
            && self.contact.mayOffload(at: now, roundTrip: .nanoseconds(Int64(clamping: statistics.smoothed_rtt)))
        if batch.bytes > 0 {
            self.packetsSent(batch.segments, together: mayOffload && batch.segments > 1, at: now, before: statistics)
        }
        if batch.code < 0 { self.fail(batch.code, at: now) }
        return batch.bytes > 0
            ? self.transmit(batch, in: buffer, mayOffload: mayOffload) : self.nextTransmit(at: now)
    }

    /// Has what was sent paced, unless nothing waits behind it and little is in flight: a timer for each question of a few
    /// bytes would cost more than it spreads.
    private func pace(at now: NIODeadline) {
        let waits = !self.sendQueue.isEmpty || self.datagramQueue.first != nil
        let burst = waits ? 0 : Self.unpacedPackets * self.maximumDatagramSize
        rtun_ngtcp2_conn_pace(self.handle, burst, now.uptimeNanoseconds)
    }

    private struct Batch {
        var bytes = 0
        /// Size of the packets before `oddStart`; the last of them may be smaller.
        var segmentSize = 0
        var segments = 0
        /// Where a larger packet than the others starts, which has to go out by itself (a path MTU probe).
        var oddStart: Int?
        /// Set when ngtcp2 has nothing more to send for now.
        var isLast = false
        /// ngtcp2's error, or 0.
        var code: Int32 = 0
    }

    /// Whether more waits than a few packets carry.
    private var hasBulk: Bool {
        self.datagramQueue.bytes > Flush.smallBuffer || self.sendQueue.bulkExceeds(Flush.smallBuffer)
    }

    private func fill(_ target: UnsafeMutableBufferPointer<UInt8>, at now: NIODeadline) -> Batch {
        var batch = Batch()
        guard let start = target.baseAddress else { return batch }
        let packetSize = self.maximumDatagramSize
        // No more at once than pacing sends in a millisecond (draft-ietf-ccwg-bbr §5.6.3), a packet or two at least.
        let quantum = max(ngtcp2_conn_get_send_quantum(self.handle), packetSize)
        let capacity = min(target.count, Flush.maxTransmitBytes, quantum)
        while true {
            guard capacity - batch.bytes >= packetSize, batch.segments < Self.maxSegments else {
                return batch
            }
            let written = self.writePacket(start + batch.bytes, capacity: packetSize, at: now)
            guard written > 0 else {
                batch.isLast = true
                batch.code = Int32(clamping: written)
                return batch
            }
            let offset = batch.bytes
            batch.bytes += written
            batch.segments += 1
            if batch.segments == 1 {
                batch.segmentSize = written
            } else if written > batch.segmentSize {
                batch.oddStart = offset
                return batch
            } else if written < batch.segmentSize {
                return batch
            }
        }
    }

    private func transmit(_ batch: Batch, in buffer: ByteBuffer, mayOffload: Bool) -> QUICTransmit {
        var buffer = buffer
        guard let oddStart = batch.oddStart, let odd = buffer.getSlice(at: oddStart, length: batch.bytes - oddStart)
        else {
            return QUICTransmit(
                payload: buffer, segmentSize: batch.segments > 1 ? batch.segmentSize : nil, mayOffload: mayOffload)
        }
        self.flush.held = QUICTransmit(payload: odd, segmentSize: nil)
        buffer.moveWriterIndex(to: oddStart)
        return QUICTransmit(
            payload: buffer, segmentSize: batch.segments > 2 ? batch.segmentSize : nil, mayOffload: mayOffload)
    }

    private func packetsSent(_ count: Int, together: Bool, at now: NIODeadline, before statistics: ngtcp2_conn_info) {
        if together { self.offloadDoubt.sent(count, lost: statistics.pkt_lost, at: now) }
        // What has to be acknowledged counts as in flight, the rest does not (RFC 9002 §2).
        guard self.statistics.bytes_in_flight > statistics.bytes_in_flight else { return }
        self.contact.sent(at: now)
    }

    /// Writes one packet with frames of as many streams as fit. Returns its size, 0 when none can be sent now, or an
    /// error.
    private func writePacket(_ target: UnsafeMutablePointer<UInt8>, capacity: Int, at now: NIODeadline) -> Int {
        // Who has little to say goes first; of those with a backlog, datagrams and streams take turns.
        if self.flush.streamsGoFirst() || self.sendQueue.hasPrompt {
            if let result = self.writeStreams(target, capacity: capacity, at: now) { return result }
            if let result = self.writeDatagrams(target, capacity: capacity, at: now) { return result }
        } else {
            if let result = self.writeDatagrams(target, capacity: capacity, at: now) { return result }
            if let result = self.writeStreams(target, capacity: capacity, at: now) { return result }
        }
        // CUBIC grows its window only where it is used, whatever keeps it from that (RFC 9002 §7.8).
        let moreWaits =
            self.context.configuration.congestionControl == .bbr
            && (self.sendQueue.blockedCount > 0 || !self.sendQueue.isEmpty)
        return rtun_ngtcp2_conn_write_rest(self.handle, target, capacity, moreWaits ? 1 : 0, now.uptimeNanoseconds)
    }

    /// Puts STREAM frames into the packet. Nil: there are no more to put.
    private func writeStreams(_ target: UnsafeMutablePointer<UInt8>, capacity: Int, at now: NIODeadline) -> Int? {
        withUnsafeTemporaryAllocation(of: ngtcp2_vec.self, capacity: Self.vectorCapacity) { vectors in
            vectors.baseAddress.flatMap { self.writeStreams(target, capacity: capacity, vectors: $0, at: now) }
        }
    }

    private func writeStreams(
        _ target: UnsafeMutablePointer<UInt8>, capacity: Int, vectors: UnsafeMutablePointer<ngtcp2_vec>,
        at now: NIODeadline
    ) -> Int? {
        // Streams with data have to wait while the connection's credit is used up; ngtcp2 does not say so.
        var left = ngtcp2_conn_get_max_data_left(self.handle)
        while let stream = self.sendQueue.next, left > 0 || stream.sendBuffer.unsentBytes == 0 {
            let (pieces, bytes) = stream.sendBuffer.describeUnsent(
                in: vectors, capacity: Self.vectorCapacity, limit: capacity)
            let isLast = stream.isFinishing && bytes == stream.sendBuffer.unsentBytes
            let flags = UInt32(NGTCP2_WRITE_STREAM_FLAG_MORE) | (isLast ? UInt32(NGTCP2_WRITE_STREAM_FLAG_FIN) : 0)
            var accepted = -1
            let result = CNgtcp2_conn_writev_stream(
                self.handle, target, capacity, &accepted, flags, stream.id, vectors, pieces, now.uptimeNanoseconds)
            if accepted >= 0 {
                left -= min(left, UInt64(accepted))
                self.streamSent(stream, accepted, isLast: isLast && accepted == bytes)
            }
            switch Int32(clamping: result) {
            case NGTCP2_ERR_WRITE_MORE:
                continue
            case NGTCP2_ERR_STREAM_DATA_BLOCKED:
                stream.isBlocked = true
                self.sendQueue.endTurn(continues: false)
            case NGTCP2_ERR_STREAM_SHUT_WR, NGTCP2_ERR_STREAM_NOT_FOUND:
                stream.abandonSending()
                self.sendQueue.endTurn(continues: false)
            default:
                return result
            }
        }
        return nil
    }

    /// Puts queued DATAGRAM frames into the packet. Nil: there are no more to put.
    private func writeDatagrams(_ target: UnsafeMutablePointer<UInt8>, capacity: Int, at now: NIODeadline) -> Int? {
        let limit = self.maxDatagramPayload
        while let datagram = self.datagramQueue.first {
            guard datagram.readableBytes <= limit else {
                // The path carries less than when it was queued. ngtcp2 would never put it anywhere, nor say so.
                self.datagramQueue.countUnfit()
                self.removeFirstDatagram()
                continue
            }
            var accepted: Int32 = 0
            let result = datagram.withUnsafeReadableBytes { bytes in
                var vector = ngtcp2_vec(
                    base: UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress), len: bytes.count
                )
                return CNgtcp2_conn_writev_datagram(
                    self.handle, target, capacity, &accepted, UInt32(NGTCP2_WRITE_DATAGRAM_FLAG_MORE), 0, &vector, 1,
                    now.uptimeNanoseconds)
            }
            if accepted != 0 { self.removeFirstDatagram() }
            switch Int32(clamping: result) {
            case NGTCP2_ERR_WRITE_MORE:
                continue
            default:
                return result
            }
        }
        return nil
    }

    private func removeFirstDatagram() {
        if self.datagramQueue.removeFirst() { self.events.append(.datagramsWritable) }
    }

    private func streamSent(_ stream: QUICStream, _ count: Int, isLast: Bool) {
        stream.sendBuffer.markSent(count)
        if isLast { stream.sendState = .finished }
        if stream.isThrottled, stream.sendBuffer.unsentBytes < stream.writableMarks.low {
            stream.isThrottled = false
            if case .open = stream.sendState { self.events.note(.writable, on: stream) }
        }
        self.sendQueue.endTurn(continues: stream.hasWork)
    }
}
