package import NIOCore

/// A STUN message (RFC 8489 §5): what it asks or answers, and its attributes in order.
package struct STUNMessage: Hashable, Sendable {
    /// The two bits that tell requests from answers.
    package enum Class: UInt16, Sendable {
        case request = 0b00
        case indication = 0b01
        case success = 0b10
        case failure = 0b11
    }

    /// 12 bits. Binding is the only method that ICE and plain STUN use.
    package struct Method: Hashable, Sendable, RawRepresentable {
        package let rawValue: UInt16

        /// Only the lower 12 bits count.
        package init(rawValue: UInt16) {
            self.rawValue = rawValue & 0xFFF
        }

        package static let binding = Method(rawValue: 0x001)
    }

    package var messageClass: Class
    package var method: Method
    package var id: TransactionID
    package var attributes: [STUNAttribute]

    package init(
        _ messageClass: Class, method: Method = .binding, id: TransactionID, attributes: [STUNAttribute] = []
    ) {
        self.messageClass = messageClass
        self.method = method
        self.id = id
        self.attributes = attributes
    }

    /// RFC 8489 §5
    package static let magicCookie: UInt32 = 0x2112_A442
    package static let headerLength = 20
    /// The largest message that we look at, in bytes. RFC 8489 §6.1 wants messages to fit the path's MTU.
    package static let maximumLength = 2048

    /// Whether a datagram is STUN as opposed to QUIC or DTLS: first byte 0...3, which leaves room for methods up to 0xFF
    /// (RFC 9443 §3), and the magic cookie.
    package static func isSTUN(_ datagram: ByteBuffer) -> Bool {
        guard datagram.readableBytes >= self.headerLength,
            let first = datagram.getInteger(at: datagram.readerIndex, as: UInt8.self), first <= 3,
            datagram.getInteger(at: datagram.readerIndex + 4, as: UInt32.self) == self.magicCookie
        else {
            return false
        }
        return true
    }
}

/// Finding attributes: where one appears twice, only the first counts (RFC 8489 §14).
extension STUNMessage {
    package var username: String? {
        self.first { if case .username(let value) = $0 { value } else { nil } }
    }

    package var errorCode: STUNErrorCode? {
        self.first { if case .errorCode(let value) = $0 { value } else { nil } }
    }

    package var priority: UInt32? {
        self.first { if case .priority(let value) = $0 { value } else { nil } }
    }

    package var usesCandidate: Bool {
        self.attributes.contains(.useCandidate)
    }

    /// The tie-breaker of a sender in the controlling role.
    package var iceControlling: UInt64? {
        self.first { if case .iceControlling(let value) = $0 { value } else { nil } }
    }

    /// The tie-breaker of a sender in the controlled role.
    package var iceControlled: UInt64? {
        self.first { if case .iceControlled(let value) = $0 { value } else { nil } }
    }

    /// How many bytes of PADDING came along; nil without the attribute.
    package var padding: Int? {
        self.first { if case .padding(let count) = $0 { count } else { nil } }
    }

    /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS from a server that knows only RFC 3489 (RFC 8489 §11).
    package var mappedAddress: TransportAddress? {
        self.first { if case .xorMappedAddress(let value) = $0 { value } else { nil } }
            ?? self.first { if case .mappedAddress(let value) = $0 { value } else { nil } }
    }

    /// Types that the sender demands to be understood and that we don't know (RFC 8489 §6.3.1), each once.
    package var unknownRequiredAttributes: [UInt16] {
        var types = [UInt16]()
        for case .other(let type, _) in self.attributes
        where STUNAttributeType.isComprehensionRequired(type) && !types.contains(type) {
            types.append(type)
        }
        return types
    }

    private func first<T>(_ extract: (STUNAttribute) -> T?) -> T? {
        for attribute in self.attributes {
            if let value = extract(attribute) {
                return value
            }
        }
        return nil
    }
}
