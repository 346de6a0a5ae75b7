package import NIOCore

/// A STUN message as it arrived: well formed, its fingerprint right if it has one, its integrity still to be judged by
/// whoever knows the key.
package struct ReceivedSTUNMessage: Sendable {
    /// The attributes up to MESSAGE-INTEGRITY; what follows that is ignored (RFC 8489 §14.5).
    package let message: STUNMessage
    package let hasFingerprint: Bool
    private let integrity: STUNIntegrity?

    /// Parses one datagram.
    ///
    /// - Throws: `STUNError`. Takes time linear in the datagram, which is refused above `STUNMessage.maximumLength`.
    package init(decoding datagram: ByteBuffer) throws(STUNError) {
        var rest = datagram
        guard STUNMessage.isSTUN(rest),
            let (type, length, _, high, low) = rest.readMultipleIntegers(
                as: (UInt16, UInt16, UInt32, UInt32, UInt64).self)
        else {
            throw .notSTUN
        }
        guard datagram.readableBytes <= STUNMessage.maximumLength else {
            throw .tooLarge(length: datagram.readableBytes)
        }
        guard Int(length) == rest.readableBytes, length % 4 == 0 else {
            throw .lengthMismatch(claimed: Int(length), actual: rest.readableBytes)
        }

        let id = TransactionID(high: high, low: low)
        var message = STUNMessage(.init(typeBits: type), method: .init(typeBits: type), id: id)
        var integrity: STUNIntegrity?
        var hasFingerprint = false
        while rest.readableBytes > 0 {
            // Nothing may follow a FINGERPRINT (RFC 8489 §14.7).
            guard !hasFingerprint else {
                throw .badFingerprint
            }
            let offset = rest.readerIndex - datagram.readerIndex
            guard let (type, length) = rest.readMultipleIntegers(as: (UInt16, UInt16).self) else {
                throw .truncatedAttribute(type: 0)
            }
            // The padding's bytes may be anything and are ignored (RFC 8489 §14).
            let padding = -Int(length) & 3
            guard let value = rest.readSlice(length: Int(length)), rest.readSlice(length: padding) != nil else {
                throw .truncatedAttribute(type: type)
            }
            switch type {
            case STUNAttributeType.fingerprint:
                guard STUNFingerprint.matches(value, in: datagram, at: offset) else {
                    throw .badFingerprint
                }
                hasFingerprint = true
            case _ where integrity != nil:
                continue
            case STUNAttributeType.messageIntegrity:
                guard let found = STUNIntegrity(tag: value, datagram: datagram, offset: offset) else {
                    throw .malformedAttribute(type: type)
                }
                integrity = found
            default:
                message.attributes.append(try STUNAttribute.decode(type: type, value: value, id: id))
            }
        }
        self.message = message
        self.hasFingerprint = hasFingerprint
        self.integrity = integrity
    }

    /// Whether MESSAGE-INTEGRITY is present at all.
    package var hasIntegrity: Bool {
        self.integrity != nil
    }

    /// Whether MESSAGE-INTEGRITY is present and was made with `key`.
    package func isAuthentic(key: MessageIntegrityKey) -> Bool {
        self.integrity?.matches(key: key) ?? false
    }
}

extension STUNMessage.Class {
    fileprivate init(typeBits: UInt16) {
        switch (typeBits & 0x0100 != 0, typeBits & 0x0010 != 0) {
        case (false, false): self = .request
        case (false, true): self = .indication
        case (true, false): self = .success
        case (true, true): self = .failure
        }
    }
}

extension STUNMessage.Method {
    fileprivate init(typeBits: UInt16) {
        self.init(rawValue: (typeBits & 0x3E00) >> 2 | (typeBits & 0x00E0) >> 1 | (typeBits & 0x000F))
    }
}
