import NIOCore
import PlainHTTP

/// What one server takes before it says no. Sized so that garbage and floods cost little and real use never meets them.
struct ServerLimits: Sendable {
    /// TCP connections, and beside them as many QUIC sessions, authenticated or not: only the former take a file descriptor.
    var connections = 60_000
    /// Those of them that have not proved the secret (yet). One more, and the oldest of these is closed.
    var strangers = 4096
    /// What a TCP connection may take until it has become a WebSocket.
    var http = PlainHTTPLimits(requestTime: .seconds(10), responseTime: .seconds(60))
    /// How long an agent may think about an offer.
    var openPeerTime = TimeAmount.seconds(10)
}
