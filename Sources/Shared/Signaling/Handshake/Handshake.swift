package import NIOCore

/// What both sides of the handshake agree on.
package enum Handshake {
    /// The protocol version of this build.
    package static let version: UInt32 = 1
    /// From the first byte of the connection to `Welcome`; whoever waits longer closes the connection.
    package static let timeLimit = TimeAmount.seconds(10)
    /// Length of either side's nonce, in bytes.
    static let nonceLength = 32
}
