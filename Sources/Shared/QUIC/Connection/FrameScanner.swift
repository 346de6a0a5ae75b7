/// Finds the frames of which ngtcp2 0.12 tells too little in the payload of a decrypted 1-RTT packet (RFC 9000 §12.4, §19),
/// before ngtcp2 sees them.
///
/// Nothing may get past it: ngtcp2 must not see a payload that is not understood here. (It takes all types with bit 0x08 that
/// it does not know, such as 0x2a, for STREAM.)
struct FrameScanner {
    enum Frame: Equatable {
        /// ngtcp2 answers with RESET_STREAM, but tells the application neither that it came nor its code: a stream with
        /// nothing to send would not learn that its reader has gone.
        case stopSending(streamID: Int64, code: UInt64)
        /// A server's path had better not change before this has been answered.
        case pathChallenge
        /// ngtcp2 aborts the process when an id below `retirePriorTo` is given out twice, as in a retransmission, and when a
        /// server's path changes while 16 ids that it has given back are not acknowledged.
        case newConnectionID(retirePriorTo: UInt64)
        /// ngtcp2 crashes when this comes before a client has ended the handshake.
        case handshakeDone
        /// Where it stands in the payload. ngtcp2 aborts the process after one in a packet that is older than others.
        case acknowledgement(Range<Int>)
        /// Nobody has anything to say in TLS after the handshake: there are no tickets. A KeyUpdate makes ngtcp2 abort.
        case crypto
        /// No frame of RFC 9000 section 19 or RFC 9221; nothing behind it has been looked at.
        case unreadable
    }

    private let payload: UnsafeRawBufferPointer
    private var position = 0

    /// `payload` must stay valid as long as the scanner is used.
    init(_ payload: UnsafeRawBufferPointer) {
        self.payload = payload
    }

    /// The next such frame; nil at the end. `unreadable` is the last.
    mutating func next() -> Frame? {
        while self.position < self.payload.count {
            let type = self.payload[self.position]
            self.position += 1
            switch type {
            case 0x02, 0x03:
                let start = self.position - 1
                guard self.skipFrame(type: type) else { return self.unreadable }
                return .acknowledgement(start..<self.position)
            case 0x05:
                guard let id = self.integer(), let code = self.integer() else { return self.unreadable }
                return .stopSending(streamID: Int64(id), code: code)
            case 0x06:
                return self.skipIntegers(1) && self.skipPrefixedBytes() ? .crypto : self.unreadable
            case 0x18:  // sequence number, retire prior to, length (1), id, stateless reset token (16)
                guard self.skipIntegers(1), let retirePriorTo = self.integer(), self.position < self.payload.count,
                    self.skipBytes(UInt64(self.payload[self.position]) + 1 + 16)
                else { return self.unreadable }
                return .newConnectionID(retirePriorTo: retirePriorTo)
            case 0x1a:
                return self.skipBytes(8) ? .pathChallenge : self.unreadable
            case 0x1e:
                return .handshakeDone
            default:
                guard self.skipFrame(type: type) else { return self.unreadable }
            }
        }
        return nil
    }

    private var unreadable: Frame {
        mutating get {
            self.position = self.payload.count
            return .unreadable
        }
    }

    /// Steps over the rest of a frame; false when it is none.
    private mutating func skipFrame(type: UInt8) -> Bool {
        switch type {
        case 0x00, 0x01:  // PADDING, PING
            return true
        case 0x02, 0x03:  // ACK: largest, delay, range count, first range, ranges; 0x03: ECN counts
            guard self.skipIntegers(2), let ranges = self.integer(), ranges <= UInt64(self.payload.count) else {
                return false
            }
            return self.skipIntegers(1 + 2 * Int(ranges) + (type == 0x03 ? 3 : 0))
        case 0x04:  // RESET_STREAM
            return self.skipIntegers(3)
        case 0x07, 0x31:  // NEW_TOKEN, DATAGRAM with length
            return self.skipPrefixedBytes()
        case 0x08...0x0f:  // STREAM: bit 0x04 offset present, bit 0x02 length present
            guard self.skipIntegers(type & 0x04 != 0 ? 2 : 1) else { return false }
            return type & 0x02 != 0 ? self.skipPrefixedBytes() : self.skipRest()
        case 0x10, 0x12, 0x13, 0x14, 0x16, 0x17, 0x19:  // MAX_DATA, MAX_STREAMS, *_BLOCKED, RETIRE_CONNECTION_ID
            return self.skipIntegers(1)
        case 0x11, 0x15:  // MAX_STREAM_DATA, STREAM_DATA_BLOCKED
            return self.skipIntegers(2)
        case 0x1b:  // PATH_RESPONSE
            return self.skipBytes(8)
        case 0x1c, 0x1d:  // CONNECTION_CLOSE: error, 0x1c: frame type, reason
            return self.skipIntegers(type == 0x1c ? 2 : 1) && self.skipPrefixedBytes()
        case 0x30:  // DATAGRAM without length
            return self.skipRest()
        default:
            return false
        }
    }

    private mutating func skipRest() -> Bool {
        self.position = self.payload.count
        return true
    }

    private mutating func skipPrefixedBytes() -> Bool {
        guard let length = self.integer() else { return false }
        return self.skipBytes(length)
    }

    private mutating func skipBytes(_ count: UInt64) -> Bool {
        guard count <= UInt64(self.payload.count - self.position) else { return false }
        self.position += Int(count)
        return true
    }

    private mutating func skipIntegers(_ count: Int) -> Bool {
        for _ in 0..<count {
            guard self.position < self.payload.count,
                self.skipBytes(1 << UInt64(self.payload[self.position] >> 6))
            else { return false }
        }
        return true
    }

    /// A variable-length integer (RFC 9000 §16): the two high bits of the first byte say how many bytes it has.
    private mutating func integer() -> UInt64? {
        guard self.position < self.payload.count else { return nil }
        let first = self.payload[self.position]
        let length = 1 << Int(first >> 6)
        guard length <= self.payload.count - self.position else { return nil }
        var value = UInt64(first & 0x3f)
        for index in 1..<max(length, 1) {
            value = value << 8 | UInt64(self.payload[self.position + index])
        }
        self.position += length
        return value
    }
}
