/// Names a UDP association within its tunnel: the number of its stream, without the two bits that tell who opened it, which
/// is always the client (as the Quarter Stream ID of RFC 9297 §2.1).
package struct AssociationID: Hashable, Sendable {
    /// Less than 2^60.
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Parameter streamID: of a bidirectional stream of the client (RFC 9000 §2.1).
    package init(streamID: Int64) { self.rawValue = UInt64(bitPattern: streamID) >> 2 }
}
