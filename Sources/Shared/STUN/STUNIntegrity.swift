import Basics
import NIOCore

/// MESSAGE-INTEGRITY (RFC 8489 §14.5): HMAC-SHA1 over the message up to this attribute, the header's length
/// field standing as if this attribute were the last.
struct STUNIntegrity: Sendable {
    static let tagLength = 20
    static let attributeLength = 24

    private let tag: [UInt8]
    private let covered: ByteBuffer

    /// `offset`: where the attribute starts in `datagram`. Nil unless the tag has 20 bytes.
    init?(tag: ByteBuffer, datagram: ByteBuffer, offset: Int) {
        guard tag.readableBytes == Self.tagLength,
            var covered = datagram.getSlice(at: datagram.readerIndex, length: offset)
        else {
            return nil
        }
        let length = offset - STUNMessage.headerLength + Self.attributeLength
        covered.setInteger(UInt16(truncatingIfNeeded: length), at: covered.readerIndex + 2)
        self.tag = Array(tag.readableBytesView)
        self.covered = covered
    }

    func matches(key: MessageIntegrityKey) -> Bool {
        constantTimeEquals(self.tag, self.covered.withUnsafeReadableBytes { key.tag(of: $0) })
    }
}
