internal import CNgtcp2

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the packets of one `receive` call showed once they were decrypted.
///
/// ngtcp2's decrypt callback carries no user data, so the connection that is reading says who listens in a
/// thread-specific slot.
struct PacketObservation {
    /// How many packets passed authentication.
    var authenticated = 0
    /// The STOP_SENDING frames among them.
    var stops: [(streamID: Int64, code: UInt64)] = []
    /// Whether there was a PATH_CHALLENGE among them.
    var hasPathChallenge = false
    /// How many NEW_CONNECTION_ID frames there were among them.
    var connectionIDs = 0
    /// Set before: the connection's.
    let numbers: PacketNumbers
    /// Set before: whether what no server says before the client has ended the handshake is dropped, as if it had not come.
    var dropsEarly = false
    /// What a packet contained that ngtcp2 must not see.
    var violation: Violation?

    init(_ numbers: PacketNumbers) {
        self.numbers = numbers
    }

    enum Violation: String {
        case unreadable = "a frame that is none of QUIC"
        case retirement = "a demand to retire connection ids"
        case crypto = "TLS after the handshake"
    }
}

/// The thread's slot for the observation in progress.
enum PacketObserver {
    private static let slot: pthread_key_t = {
        var key = pthread_key_t()
        // Fails only when the process has used up all its keys, long before any connection exists.
        precondition(pthread_key_create(&key, nil) == 0, "no thread-specific storage left")
        return key
    }()

    /// Runs `body`; packets decrypted on this thread meanwhile are noted in `observation`.
    static func observe<Result>(_ observation: inout PacketObservation, _ body: () -> Result) -> Result {
        withUnsafeMutablePointer(to: &observation) { pointer in
            pthread_setspecific(self.slot, pointer)
            defer { pthread_setspecific(self.slot, nil) }
            return body()
        }
    }

    enum Verdict {
        case acceptable
        /// As if it had not come.
        case dropped
        /// The connection has to end.
        case refused
    }

    /// Called for each decrypted packet, before ngtcp2 looks into it.
    ///
    /// ngtcp2 0.12 aborts the process when a packet has acknowledged an answer to a later one, and that is not the last any
    /// more that it remembers: it makes an ACK frame with a gap below 0. No honest peer can send such a packet, but an older
    /// one that has been overtaken has to go without its acknowledgements, and during the handshake, when ngtcp2 goes on
    /// after an error in the middle of a packet, without all that it says.
    ///
    /// - Parameters:
    ///   - header: without header protection.
    ///   - key: ngtcp2's name for the key.
    static func packetDecrypted(
        header: UnsafeRawBufferPointer, payload: UnsafeMutableRawBufferPointer, nonce: UnsafeRawBufferPointer, key: UInt
    ) -> Verdict {
        guard let pointer = pthread_getspecific(self.slot)?.assumingMemoryBound(to: PacketObservation.self),
            let first = header.first
        else { return .acceptable }
        pointer.pointee.authenticated += 1
        let age = pointer.pointee.numbers.note(header: header, nonce: nonce, key: key)
        guard age != .impossible else { return .dropped }
        let isOld = age == .old
        // What else is looked for occurs in 1-RTT packets only; these have a short header (RFC 9000 §17.3).
        guard first & 0x80 == 0 else { return isOld ? .dropped : .acceptable }
        var scanner = FrameScanner(UnsafeRawBufferPointer(payload))
        while let frame = scanner.next() {
            switch frame {
            case .stopSending(let streamID, let code): pointer.pointee.stops.append((streamID, code))
            case .pathChallenge: pointer.pointee.hasPathChallenge = true
            case .newConnectionID(let retirePriorTo):
                guard !pointer.pointee.dropsEarly else { return .dropped }
                pointer.pointee.connectionIDs += 1
                if retirePriorTo > 0 { pointer.pointee.violation = .retirement }
            case .handshakeDone:
                guard !pointer.pointee.dropsEarly else { return .dropped }
            case .acknowledgement(let range):
                // PADDING in its place.
                if isOld { for index in range { payload[index] = 0 } }
            case .crypto: pointer.pointee.violation = .crypto
            case .unreadable: pointer.pointee.violation = .unreadable
            }
        }
        return pointer.pointee.violation == nil ? .acceptable : .refused
    }
}
