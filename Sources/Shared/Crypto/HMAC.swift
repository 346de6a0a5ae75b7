internal import COpenSSL

/// Keyed hashes (RFC 2104).
package enum HMAC {
    /// HMAC-SHA256 over the concatenation of `parts`; 32 bytes.
    package static func sha256(key: [UInt8], _ parts: [UInt8]...) -> [UInt8] {
        let message = parts.count == 1 ? parts[0] : Array(parts.joined())
        return message.withUnsafeBytes {
            Self.authenticate($0, key: key, algorithm: EVP_sha256(), byteCount: 32)
        }
    }

    /// HMAC-SHA1 of `message`; 20 bytes. For STUN's MESSAGE-INTEGRITY (RFC 8489 §14.5) only.
    package static func sha1(key: [UInt8], _ message: UnsafeRawBufferPointer) -> [UInt8] {
        Self.authenticate(message, key: key, algorithm: EVP_sha1(), byteCount: 20)
    }

    private static func authenticate(
        _ message: UnsafeRawBufferPointer, key: [UInt8], algorithm: OpaquePointer?, byteCount: Int
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { code, count in
            let input = message.baseAddress?.assumingMemoryBound(to: UInt8.self)
            let result = key.withUnsafeBytes { key in
                COpenSSL.HMAC(
                    algorithm, key.baseAddress, Int32(key.count), input, message.count, code.baseAddress, nil)
            }
            guard result != nil else {
                preconditionFailure("libcrypto has no HMAC: its default provider cannot be loaded")
            }
            count = byteCount
        }
    }
}
