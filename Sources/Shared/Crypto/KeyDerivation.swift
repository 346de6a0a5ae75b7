internal import COpenSSL

/// Keys from passwords.
package enum KeyDerivation {
    /// The most memory that ``scrypt(secret:salt:n:r:p:length:)`` may take for the time of the call: 64 MiB.
    private static let maximumMemory: UInt64 = 64 << 20

    /// scrypt (RFC 7914), which takes about 128 × `n` × `r` bytes of memory while it runs. The C library maps a block
    /// of that size by itself and unmaps it at the end, so a process does not stay large for having derived a key.
    ///
    /// - Parameters:
    ///   - n: cost, a power of two greater than 1.
    ///   - r: block size.
    ///   - p: parallelisation.
    ///   - length: bytes of key wanted.
    /// - Throws: ``CryptoError`` for parameters that are invalid or need over 64 MiB.
    package static func scrypt(
        secret: [UInt8], salt: [UInt8], n: UInt64, r: UInt64, p: UInt64, length: Int
    ) throws(CryptoError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: length)
        OpenSSLErrors.clear()
        let status = secret.withUnsafeBytes { secret in
            salt.withUnsafeBytes { salt in
                EVP_PBE_scrypt(
                    secret.baseAddress?.assumingMemoryBound(to: CChar.self), secret.count,
                    salt.baseAddress?.assumingMemoryBound(to: UInt8.self), salt.count,
                    n, r, p, Self.maximumMemory, &key, length)
            }
        }
        guard status == 1 else {
            throw CryptoError(operation: "derive a key with scrypt", errors: OpenSSLErrors.drain())
        }
        return key
    }
}
