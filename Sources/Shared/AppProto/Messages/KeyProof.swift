/// What a process says of its key, and its proof that it has it.
///
/// Only the signature can change after creation: all else is what it covers.
package struct KeyProof: Hashable, Sendable {
    /// The certificate that it shows to its peers as well, in DER: 1 to 2048 bytes.
    package let certificate: [UInt8]
    /// Whether the key is kept in a file, and will be the same after a restart.
    package let isKept: Bool
    /// ECDSA over P-256 with SHA-256, in DER; empty until it has been made.
    package var signature: [UInt8]

    package init(certificate: [UInt8], isKept: Bool, signature: [UInt8] = []) {
        self.certificate = certificate
        self.isKept = isKept
        self.signature = signature
    }
}
