internal import COpenSSL

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
    /// Length of a digest in bytes.
    package static let byteCount = 32

    /// The 32-byte digest of `bytes`.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { Self.hash($0) }
    }

    /// The 32-byte digest of the memory that `bytes` points to.
    package static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.byteCount) { digest, count in
            let input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            guard COpenSSL.SHA256(input, bytes.count, digest.baseAddress) != nil else {
                preconditionFailure("libcrypto has no SHA-256: its default provider cannot be loaded")
            }
            count = Self.byteCount
        }
    }
}
