import NIOCore

/// The packet with CONNECTION_CLOSE, which is sent again while the peer still talks, but ever more rarely: at the 1st, 2nd,
/// 4th, 8th… packet that comes (RFC 9000 §10.2.1).
struct Farewell {
    let packet: ByteBuffer
    private var received = 0

    init(_ packet: ByteBuffer) { self.packet = packet }

    /// Something has come. Returns whether to answer with the packet.
    mutating func answers() -> Bool {
        self.received += 1
        return self.received & (self.received - 1) == 0
    }
}
