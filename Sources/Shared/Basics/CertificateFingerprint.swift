/// The SHA-256 of a certificate's DER form: what a process is known by, and what peers pin each other by.
package struct CertificateFingerprint: Hashable, Sendable, CustomStringConvertible {
    /// Length of a fingerprint in bytes.
    package static let byteCount = 32

    private static let prefix = "SHA256:"

    /// The 32 bytes of the hash.
    package let bytes: [UInt8]

    /// Takes a hash that was received or stored; nil unless it is exactly 32 bytes long.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Reads what ``description`` writes; padding is allowed. Nil when it is none.
    package init?(parsing text: String) {
        guard text.hasPrefix(Self.prefix),
            let bytes = Base64.bytes(of: text.dropFirst(Self.prefix.count))
        else { return nil }
        self.init(bytes: bytes)
    }

    /// `SHA256:` and unpadded Base64, as `ssh-keygen -l` prints fingerprints.
    package var description: String { Self.prefix + Base64.text(of: self.bytes).prefix { $0 != "=" } }
}
