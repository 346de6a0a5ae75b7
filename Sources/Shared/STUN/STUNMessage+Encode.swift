package import NIOCore

//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |0 0|     STUN Message Type     |         Message Length        |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |                         Magic Cookie                          |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |                     Transaction ID (96 bits)                  |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |  attributes: type (16), length (16), value, padding to 32 bits
extension STUNMessage {
    /// The message as one datagram.
    ///
    /// - Parameters:
    ///   - integrityKey: adds MESSAGE-INTEGRITY under this key (RFC 8489 §14.5).
    ///   - fingerprint: adds FINGERPRINT (RFC 8489 §14.7).
    package func encoded(integrityKey: MessageIntegrityKey? = nil, fingerprint: Bool = false) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(160)
        buffer.writeMultipleIntegers(self.typeBits, UInt16(0), Self.magicCookie, self.id.high, self.id.low)
        for attribute in self.attributes {
            buffer.writeAttribute(type: attribute.type) { attribute.writeValue(into: &$0, id: self.id) }
        }
        if let integrityKey {
            // The header's length counts the attribute being made, but nothing after it.
            buffer.setMessageLength(adding: STUNIntegrity.attributeLength)
            let tag = buffer.withUnsafeReadableBytes { integrityKey.tag(of: $0) }
            buffer.writeAttribute(type: STUNAttributeType.messageIntegrity) { _ = $0.writeBytes(tag) }
        }
        if fingerprint {
            buffer.setMessageLength(adding: STUNFingerprint.attributeLength)
            let value = buffer.withUnsafeReadableBytes { STUNFingerprint.value(over: $0) }
            buffer.writeAttribute(type: STUNAttributeType.fingerprint) { _ = $0.writeInteger(value) }
        }
        buffer.setMessageLength(adding: 0)
        return buffer
    }

    /// The class's two bits sit at positions 4 and 8, between the bits of the method (RFC 8489 §5, figure 3).
    private var typeBits: UInt16 {
        let method = self.method.rawValue
        let kind = self.messageClass.rawValue
        return (method & 0xF80) << 2 | (method & 0x070) << 1 | (method & 0x00F) | (kind & 0b10) << 7 | (kind & 0b01)
            << 4
    }
}

extension ByteBuffer {
    fileprivate mutating func writeAttribute(type: UInt16, _ writeValue: (inout ByteBuffer) -> Void) {
        self.writeMultipleIntegers(type, UInt16(0))
        let start = self.writerIndex
        writeValue(&self)
        let length = self.writerIndex - start
        precondition(length <= STUNMessage.maximumLength, "a STUN attribute larger than any STUN message")
        self.setInteger(UInt16(truncatingIfNeeded: length), at: start - 2)
        self.writeRepeatingByte(0, count: -length & 3)
    }

    fileprivate mutating func setMessageLength(adding more: Int) {
        let length = self.readableBytes - STUNMessage.headerLength + more
        self.setInteger(UInt16(truncatingIfNeeded: length), at: self.readerIndex + 2)
    }
}
