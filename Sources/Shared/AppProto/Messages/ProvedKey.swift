package import Basics
import CAppProto

/// The key that a process has proved to the server.
package struct ProvedKey: Hashable, Sendable, CustomStringConvertible {
    /// Of the certificate that holds it.
    package let fingerprint: CertificateFingerprint
    /// Whether the process says that it keeps the key in a file. Nobody can check that.
    package let isKept: Bool

    package init(fingerprint: CertificateFingerprint, isKept: Bool) {
        self.fingerprint = fingerprint
        self.isKept = isKept
    }

    /// The fingerprint.
    package var description: String { self.fingerprint.description }

    /// What two fields of a message say; nil when it names no key.
    init?(fingerprint: ProtobufCBinaryData, isKept: protobuf_c_boolean) throws(AppProtoError) {
        let bytes = try readOptionalBytes(fingerprint, "fingerprint", length: CertificateFingerprint.byteCount)
        guard let fingerprint = CertificateFingerprint(bytes: bytes) else { return nil }
        self.init(fingerprint: fingerprint, isKept: isKept != 0)
    }
}
