package import Crypto

/// The key that stands for a shared secret: proofs of the handshake come from it.
///
/// Each purpose has its own label in front of what is authenticated, so that a value made for one never serves for another.
/// Shows nothing of itself when printed.
package struct SharedKey: Sendable {
    /// scrypt parameters of protocol version 1; both sides must use the same.
    private static let salt = Array("rtun/1".utf8)
    private static let cost: UInt64 = 1 << 15
    private static let blockSize: UInt64 = 8
    private static let parallelisation: UInt64 = 1

    private let bytes: [UInt8]

    /// Derives the key from the secret, which takes some 100 ms and 32 MiB while it runs: do it once, off the event loop.
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

    /// What a server without a key of its own uses in its place.
    package var serverKey: ServerKey { ServerKey(derived: self.bytes) }
}

extension SharedKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "SharedKey" }

    /// Without children, so that a dump does not show the key.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
