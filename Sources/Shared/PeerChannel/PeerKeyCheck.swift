package import Basics
package import NIOCore

/// Has a say in the key of a channel's other side. Called on the channel's event loop.
package struct PeerKeyCheck {
    /// What there is to say against a key that the other side names, and has not proved yet; nil: nothing.
    package let objection: (CertificateFingerprint) -> String?
    /// The other side has proved the key. Nothing but what is needed for that has passed; the rest follows when the future
    /// succeeds. Nil: at once.
    package let proved: (CertificateFingerprint) -> EventLoopFuture<Void>?

    package init(
        objection: @escaping (CertificateFingerprint) -> String?,
        proved: @escaping (CertificateFingerprint) -> EventLoopFuture<Void>?
    ) {
        self.objection = objection
        self.proved = proved
    }
}
