package import Crypto

/// The key of `--e2e-secret`, with which two peers prove to each other that no server sits in between.
package enum EndToEndKey {
    /// Derives the key, 32 bytes, at the cost of the shared secret's own key: some 100 ms and 32 MiB while it runs. The salt
    /// keeps it different from that key even where somebody chose the same secret for both.
    package static func derive(from secret: [UInt8]) throws(CryptoError) -> [UInt8] {
        try KeyDerivation.scrypt(
            secret: secret, salt: Array("rtun/1 e2e".utf8), n: 1 << 15, r: 8, p: 1, length: 32)
    }
}
