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
    /// Whether there was a NEW_CONNECTION_ID among them that wants older ids retired.
    var wantsRetirement = false
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

    /// Called for each decrypted packet. `header` is its first byte. Returns false when ngtcp2 must not see it.
    static func packetDecrypted(header: UInt8, payload: UnsafeRawBufferPointer) -> Bool {
        guard let pointer = pthread_getspecific(self.slot)?.assumingMemoryBound(to: PacketObservation.self) else {
            return true
        }
        pointer.pointee.authenticated += 1
        // What is looked for occurs in 1-RTT packets only; these have a short header (RFC 9000 §17.3).
        guard header & 0x80 == 0 else { return true }
        var scanner = FrameScanner(payload)
        while let frame = scanner.next() {
            switch frame {
            case .stopSending(let streamID, let code): pointer.pointee.stops.append((streamID, code))
            case .pathChallenge: pointer.pointee.hasPathChallenge = true
            case .newConnectionID(let retirePriorTo): if retirePriorTo > 0 { pointer.pointee.wantsRetirement = true }
            }
        }
        return !pointer.pointee.wantsRetirement
    }
}
