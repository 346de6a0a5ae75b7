import NIOCore

/// FINGERPRINT (RFC 8489 §14.7): the CRC-32 of the message before it, XORed so that it differs from the CRCs of
/// other protocols. No proof of anything: it only tells STUN from chance.
enum STUNFingerprint {
    static let attributeLength = 8
    private static let mask: UInt32 = 0x5354_554E

    static func value(over bytes: UnsafeRawBufferPointer) -> UInt32 {
        CRC32.checksum(bytes) ^ self.mask
    }

    /// Whether `value` is the fingerprint of the first `offset` bytes of `datagram`. The length field needs no
    /// adjusting: FINGERPRINT is the last attribute.
    static func matches(_ value: ByteBuffer, in datagram: ByteBuffer, at offset: Int) -> Bool {
        guard value.readableBytes == 4, let claimed = value.getInteger(at: value.readerIndex, as: UInt32.self) else {
            return false
        }
        return datagram.withUnsafeReadableBytes {
            self.value(over: UnsafeRawBufferPointer(rebasing: $0.prefix(offset)))
        }
            == claimed
    }
}

/// CRC-32 of ITU V.42 / ISO 3309: polynomial 0x04C11DB7, reflected, as in Ethernet and gzip.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { remainder, _ in
            remainder & 1 == 0 ? remainder >> 1 : remainder >> 1 ^ 0xEDB8_8320
        }
    }

    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let table = self.table
        var remainder: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            remainder = table[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)] ^ remainder >> 8
        }
        return ~remainder
    }
}
