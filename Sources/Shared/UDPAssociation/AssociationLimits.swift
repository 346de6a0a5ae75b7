package import NIOCore

/// Bounds of what both ends of a tunnel do for UDP associations.
package enum AssociationLimits {
    /// Largest payload of a datagram that is carried, in bytes.
    package static let payload = 4096
    /// Into as many frames a datagram may be cut: more than the largest needs on the narrowest path.
    package static let fragments = 16
    /// Longest name in an address, in bytes.
    package static let name = 255

    /// How long a datagram waits for its missing fragments. They leave together: what is missing then is lost.
    package static let reassemblyTime = TimeAmount.seconds(1)
    /// Datagrams of one association that may wait for fragments.
    static let incompletePerAssociation = 32
    /// Datagrams of one tunnel that may, and the bytes of their fragments.
    static let incomplete = 256
    static let incompleteBytes = 512 << 10

    /// Bytes that may wait in one tunnel for their turn, the datagrams' overhead included.
    static let waitingBytes = 512 << 10
    /// What waits in one tunnel costs so much besides its payload, in bytes: small ones are not for free.
    static let waitingOverhead = 128
    /// How long a datagram may wait for its turn: later it would be of no use to those who send in real time, and others send
    /// it again.
    static let waitingTime = TimeAmount.milliseconds(500)
}
