import AppProto
package import NIOCore

/// What both sides of the handshake agree on.
package enum Handshake {
    /// The protocol version of this build.
    package static let version: UInt32 = 1
    /// From the first byte of the connection to `Welcome`; whoever waits longer closes the connection.
    package static let timeLimit = TimeAmount.seconds(10)
    /// Length of either side's nonce, in bytes.
    static let nonceLength = 32

    /// What the signature of a key covers: label ‖ server nonce ‖ client nonce ‖ binding ‖ the `Hello` without MAC and
    /// signature. So it is worth nothing on another connection, nor with anything else in the `Hello`.
    static func signedMessage(serverNonce: [UInt8], clientNonce: [UInt8], binding: [UInt8], hello: Hello) -> [UInt8] {
        Array("rtun/1 identity".utf8) + serverNonce + clientNonce + binding + hello.signedBytes
    }
}
