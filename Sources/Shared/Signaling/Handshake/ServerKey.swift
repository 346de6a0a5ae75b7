import Crypto

/// The key of a server for what it signs or derives for itself: tokens, and QUIC's stateless resets. 32 bytes.
///
/// A server with a place to keep it has one of its own; one without derives it from a secret, so that it is the same after a
/// restart. Each purpose has its own derived key, so that a value made for one never serves for another. Shows nothing of
/// itself when printed.
package struct ServerKey: Sendable {
    /// Length of a key in bytes.
    package static let byteCount = 32

    private let bytes: [UInt8]

    /// A key that was kept; nil unless it has the right length.
    package init?(kept bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// - Parameter bytes: of the key of a secret.
    init(derived bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A key of 32 bytes for one purpose.
    func derived(for purpose: String) -> [UInt8] {
        HMAC.sha256(key: self.bytes, Array("rtun/1 key ".utf8), Array(purpose.utf8))
    }

    /// What a QUIC server derives its stateless reset tokens from (RFC 9000 §10.3.2), 32 bytes. The same after a
    /// restart, so that the peers of the server before learn at once that their connections are gone.
    package var statelessResetKey: [UInt8] {
        self.derived(for: "stateless reset")
    }
}

extension ServerKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "ServerKey" }

    /// Without children, so that a dump does not show the key.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
