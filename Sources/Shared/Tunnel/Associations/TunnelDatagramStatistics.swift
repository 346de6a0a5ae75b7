/// What became of the datagrams of a tunnel's UDP associations, at this end.
package struct TunnelDatagramStatistics: Hashable, Sendable {
    package var sent: UInt64 = 0
    package var received: UInt64 = 0
    /// Not sent: too large.
    package var oversize: UInt64 = 0
    /// Not sent: too much waited, or for too long.
    package var congested: UInt64 = 0
    /// Not received in full: pieces were missing.
    package var incomplete: UInt64 = 0
    /// What came was no frame, or of an association that is not there.
    package var foreign: UInt64 = 0
}
