internal import COpenSSL
import LibC
import NIOCore

/// OpenSSL's timer for the flights of a DTLS handshake, with an initial value of our choice.
enum RetransmissionTimer {
    /// RFC 6347 §4.2.4.1: "up to no less than the RFC 6298 maximum of 60 seconds".
    private static let longest: UInt32 = 60_000_000

    /// Where an `SSL` keeps its initial timeout, in microseconds, in the place of a pointer.
    private static let slot = COpenSSL_SSL_get_ex_new_index()

    /// Sets how long `ssl` waits before it sends a flight again: `initial` at first, then twice as long each time.
    static func install(in ssl: OpaquePointer, initial: TimeAmount) {
        let microseconds = UInt(clamping: max(20_000, min(initial.nanoseconds / 1_000, Int64(Self.longest))))
        SSL_set_ex_data(ssl, Self.slot, UnsafeMutableRawPointer(bitPattern: microseconds))
        DTLS_set_timer_cb(ssl) { ssl, last in
            // 0 asks for the first value.
            guard last == 0 else {
                return last > RetransmissionTimer.longest / 2 ? RetransmissionTimer.longest : last * 2
            }
            return UInt32(clamping: UInt(bitPattern: SSL_get_ex_data(ssl, RetransmissionTimer.slot)))
        }
    }

    /// How long until the last flight is to be sent again; nil when no answer is awaited.
    static func timeLeft(in ssl: OpaquePointer) -> TimeAmount? {
        var left = timeval()
        guard COpenSSL_DTLSv1_get_timeout(ssl, &left) == 1 else { return nil }
        return .seconds(Int64(left.tv_sec)) + .microseconds(Int64(left.tv_usec))
    }
}
