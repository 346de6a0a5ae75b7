package import AppProto
import Basics
package import NIOCore

/// What is known of a control connection that has come up.
package struct SignalSession: Sendable {
    /// What the server said at the end of the handshake.
    package let welcome: Welcome
    /// This end of the connection.
    package let localAddress: SocketAddress?
    /// The server, as it was reached: its UDP port of the same number answers STUN.
    package let remoteAddress: SocketAddress?

    /// What the connection is made over; nil where that is none of the two.
    package var transport: ServerURL.Scheme?

    /// Whether the server was reached over loopback: then everything is on one machine.
    package var serverIsLoopback: Bool {
        self.remoteAddress?.isLoopback ?? false
    }
}
