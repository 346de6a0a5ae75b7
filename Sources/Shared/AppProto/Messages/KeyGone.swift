package import Basics
import CAppProto

/// The event with which a server that lets in listed keys only ends a peer's channels with the holder of a key.
package struct KeyGone: Hashable, Sendable {
    /// Of the certificate that holds the key.
    package var fingerprint: CertificateFingerprint

    package init(_ fingerprint: CertificateFingerprint) {
        self.fingerprint = fingerprint
    }
}

extension KeyGone: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__KeyGone>) { rtun__key_gone__init(pointer) }

    init(_ message: Rtun__KeyGone) throws(AppProtoError) {
        self.fingerprint = try readFingerprint(message.fingerprint)
    }

    func fill(_ message: inout Rtun__KeyGone, _ arena: Arena) {
        message.fingerprint = arena.bytes(self.fingerprint.bytes)
    }
}
