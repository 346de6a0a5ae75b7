import NIOCore

/// What one server takes before it says no. Sized so that garbage and floods cost little and real use never meets them.
struct ServerLimits: Sendable {
    /// TCP connections, and beside them as many QUIC sessions, authenticated or not: only the former take a file descriptor.
    var connections = 60_000
    /// Those of them that have not proved the secret (yet). One more, and the oldest of these is closed.
    var strangers = 4096
    /// How long a TCP connection may take from its start to a whole HTTP request (TLS handshake included).
    var requestTime = TimeAmount.seconds(10)
    /// How long a peer may take to read a plain HTTP response.
    var responseTime = TimeAmount.seconds(60)
    /// All header fields of a request, in bytes.
    var headerBytes = 16 * 1024
    /// How long an agent may think about an offer.
    var openPeerTime = TimeAmount.seconds(10)
}
