package import Basics
package import NIOCore

/// Puts the datagrams of one association into frames, cutting those that do not fit one.
package struct FrameWriter {
    package let association: AssociationID
    private var nextPacket: UInt16 = 0

    package init(association: AssociationID) { self.association = association }

    /// Hands the frames of a datagram to `body`, in order: one if it fits `limit` bytes, else pieces of about equal size.
    ///
    /// - Parameter limit: most bytes of a frame.
    /// - Returns: false, and nothing happened, when the datagram is larger than ``AssociationLimits/payload``, or `limit` is so
    ///   low that there would be too many pieces.
    package mutating func write(
        _ payload: ByteBuffer, _ endpoint: Endpoint, limit: Int, _ body: (ByteBuffer) -> Void
    ) -> Bool {
        let length = payload.readableBytes
        guard length <= AssociationLimits.payload else { return false }
        let head = self.association.encodedLength + 1
        guard head + endpoint.encodedLength + length > limit else {
            body(AssociationFrame(association: self.association, content: .datagram(endpoint, payload)).encoded())
            return true
        }
        // The first piece has the address besides; packet and place take three bytes in each.
        let room = limit - head - 3
        guard room > endpoint.encodedLength else { return false }
        let total = length + endpoint.encodedLength
        let count = (total + room - 1) / room
        guard 2...AssociationLimits.fragments ~= count else { return false }
        let packet = self.nextPacket
        self.nextPacket &+= 1
        let share = (total + count - 1) / count
        var rest = payload
        for index in 0..<count {
            let size = index == 0 ? max(share - endpoint.encodedLength, 1) : share
            guard let piece = rest.readSlice(length: min(size, rest.readableBytes - (count - 1 - index))) else { break }
            let fragment = AssociationFrame.Fragment(
                packet: packet, index: index, count: count, endpoint: index == 0 ? endpoint : nil, payload: piece)
            body(AssociationFrame(association: self.association, content: .fragment(fragment)).encoded())
        }
        return true
    }
}
