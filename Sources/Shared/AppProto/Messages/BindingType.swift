/// What a handshake proof is bound to besides the nonces.
package enum BindingType: UInt32, Hashable, Sendable {
    /// Nothing: a plain connection, or TLS that a proxy terminates.
    case none = 0
    /// The TLS exporter value of RFC 9266, 32 bytes.
    case tlsExporter = 1
}
