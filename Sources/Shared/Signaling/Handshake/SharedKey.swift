package import Crypto

/// The key that stands for the shared secret: proofs of the handshake and all tokens come from it.
///
/// Each purpose has its own label in front of what is authenticated, or its own derived key, so that a value made for one
/// never serves for another. Shows nothing of itself when printed.
package struct SharedKey: Sendable {
    /// scrypt parameters of protocol version 1; both sides must use the same.
    private static let salt = Array("rtun/1".utf8)
    private static let cost: UInt64 = 1 << 15
    private static let blockSize: UInt64 = 8
    private static let parallelisation: UInt64 = 1

    private let bytes: [UInt8]

    /// Derives the key from the secret, which takes some 100 ms and 32 MiB while it runs: do it once, at start.
    package init(secret: [UInt8]) throws(CryptoError) {
        self.bytes = try KeyDerivation.scrypt(
            secret: secret, salt: Self.salt, n: Self.cost, r: Self.blockSize, p: Self.parallelisation, length: 32)
    }

    /// A key for tests, which need no slow derivation: 32 bytes.
    init(derived bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Which side made a proof. The label keeps one side's proof from being sent back as the other's.
    enum Prover: String {
        case client = "rtun/1 client"
        case server = "rtun/1 server"
    }

    /// HMAC-SHA256 over label ‖ server nonce ‖ client nonce ‖ binding ‖ message with its MAC empty. All but the message
    /// have fixed lengths for a given binding type, and the message names the binding type, so that no two inputs meet.
    func proof(
        by prover: Prover, serverNonce: [UInt8], clientNonce: [UInt8], binding: [UInt8], message: [UInt8]
    ) -> [UInt8] {
        HMAC.sha256(key: self.bytes, Array(prover.rawValue.utf8), serverNonce, clientNonce, binding, message)
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

extension SharedKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "SharedKey" }

    /// Without children, so that a dump does not show the key.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
