package import Basics
import CAppProto

/// The event with which a peer tells the server whom it has a channel with: for each channel when its control connection is
/// back, and when it is asked (`AskPeerKeys`).
package struct PeerKey: Hashable, Sendable {
    /// Of the certificate that holds the key.
    package var fingerprint: CertificateFingerprint

    package init(_ fingerprint: CertificateFingerprint) {
        self.fingerprint = fingerprint
    }
}

extension PeerKey: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__PeerKey>) { rtun__peer_key__init(pointer) }

    init(_ message: Rtun__PeerKey) throws(AppProtoError) {
        self.fingerprint = try readFingerprint(message.fingerprint)
    }

    func fill(_ message: inout Rtun__PeerKey, _ arena: Arena) {
        message.fingerprint = arena.bytes(self.fingerprint.bytes)
    }
}
