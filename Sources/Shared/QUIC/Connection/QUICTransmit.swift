package import NIOCore

/// One or more datagrams to send to the peer.
package struct QUICTransmit: Sendable {
    /// The bytes of one datagram, or of several behind each other (at most 65 507 bytes together).
    package var payload: ByteBuffer
    /// `nil`: one datagram. Otherwise every datagram has this many bytes, only the last may be shorter: what UDP GSO
    /// takes.
    package var segmentSize: Int?
    /// Whether the kernel may be asked to cut it up (UDP GSO). Not where such sends have been lost whole before, as some
    /// devices do to them: then each datagram has to be sent by itself.
    package var mayOffload: Bool

    package init(payload: ByteBuffer, segmentSize: Int?, mayOffload: Bool = true) {
        self.payload = payload
        self.segmentSize = segmentSize
        self.mayOffload = mayOffload
    }
}
