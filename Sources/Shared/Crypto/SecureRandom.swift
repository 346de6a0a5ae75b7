internal import COpenSSL

/// Random bytes fit for keys, nonces and tokens, from libcrypto's generator.
package enum SecureRandom {
    /// `count` random bytes.
    package static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            // Without randomness nothing here is safe: better to stop than to go on with known bytes.
            guard RAND_bytes(buffer.baseAddress, Int32(count)) == 1 else {
                preconditionFailure("libcrypto has no source of randomness")
            }
            initialized = count
        }
    }
}
