/// The application error codes of ALPN `rtun-tunnel/1`, in RESET_STREAM, STOP_SENDING and CONNECTION_CLOSE
/// (RFC 9000 §20.2).
package enum TunnelErrorCode: UInt64, Hashable, Sendable {
    /// The connection is closed in order.
    case none = 0
    /// The TCP connection behind the stream was reset or broke.
    case connectionReset = 1
    /// The side that opened the stream does not want it any more.
    case cancelled = 2
    /// The first message on the stream is malformed, too long or cut off.
    case badHeader = 3
    /// The first message on the stream did not arrive in time.
    case headerTimedOut = 4
    /// The process is stopping, or does not want this peer any more.
    case shutdown = 5
}
