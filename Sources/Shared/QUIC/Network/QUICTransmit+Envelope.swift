package import NIOCore
import UDP

extension QUICTransmit {
    /// As a message for a datagram channel; in several pieces when the kernel cannot split it (no UDP GSO).
    package func forEachEnvelope(to address: SocketAddress, _ body: (AddressedEnvelope<ByteBuffer>) -> Void) {
        guard let segmentSize = self.segmentSize else {
            return body(AddressedEnvelope(remoteAddress: address, data: self.payload))
        }
        if self.mayOffload, SegmentationOffload.isSupported {
            let metadata = AddressedEnvelope<ByteBuffer>.Metadata(
                ecnState: .transportNotCapable, packetInfo: nil, segmentSize: segmentSize)
            return body(AddressedEnvelope(remoteAddress: address, data: self.payload, metadata: metadata))
        }
        var rest = self.payload
        while let segment = rest.readSlice(length: min(segmentSize, rest.readableBytes)), segment.readableBytes > 0 {
            body(AddressedEnvelope(remoteAddress: address, data: segment))
        }
    }
}
