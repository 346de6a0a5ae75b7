package import Basics

/// A certificate chain with the private key of its leaf: who this process is towards its peers.
package struct Identity: Sendable {
    /// The leaf and then its issuers, PEM.
    package let certificateChainPEM: [UInt8]
    /// The leaf's private key, PEM (PKCS#8), unencrypted. Never log it.
    package let privateKeyPEM: [UInt8]
    /// What a peer pins: the hash of the leaf.
    package let leafFingerprint: CertificateFingerprint
    /// When the leaf's validity ends, in seconds since 1970.
    package let leafEnd: Int64
}

/// Shows the fingerprint and nothing of the key.
extension Identity: CustomStringConvertible, CustomReflectable {
    /// `Identity(AA:BB:…)`.
    package var description: String {
        "Identity(\(self.leafFingerprint))"
    }

    /// Only the fingerprint, so that a dumped identity does not show its key.
    package var customMirror: Mirror {
        Mirror(self, children: ["leafFingerprint": self.leafFingerprint])
    }
}
