import NIOCore

/// The value part of an attribute: what follows its type and length, without padding.
extension STUNAttribute {
    /// Longest string we write or accept, in bytes: 127 characters of up to 6 bytes (RFC 8489 §14.8 and others),
    /// the USERNAME has its own, smaller limit of 508.
    static let maximumStringLength = 763
    /// RFC 8489 §14.3 says 508; RFC 8445's two fragments of up to 256 characters and the colon make 513.
    static let maximumUsernameLength = 513

    func writeValue(into buffer: inout ByteBuffer, id: TransactionID) {
        switch self {
        case .mappedAddress(let address), .alternateServer(let address):
            address.write(into: &buffer)
        case .xorMappedAddress(let address):
            address.xored(with: id).write(into: &buffer)
        case .username(let text), .realm(let text), .nonce(let text), .software(let text):
            buffer.writeString(text)
        case .errorCode(let error):
            buffer.writeInteger(UInt16(0))
            buffer.writeInteger(UInt8(truncatingIfNeeded: error.code / 100))
            buffer.writeInteger(UInt8(truncatingIfNeeded: error.code % 100))
            buffer.writeString(error.reason)
        case .unknownAttributes(let types):
            for type in types {
                buffer.writeInteger(type)
            }
        case .priority(let priority):
            buffer.writeInteger(priority)
        case .useCandidate:
            break
        case .iceControlled(let tieBreaker), .iceControlling(let tieBreaker):
            buffer.writeInteger(tieBreaker)
        case .padding(let count):
            buffer.writeRepeatingByte(0, count: max(count, 0))
        case .other(_, let value):
            buffer.writeBytes(value)
        }
    }

    /// Reads the value of an attribute; `value` holds exactly its bytes.
    static func decode(type: UInt16, value: ByteBuffer, id: TransactionID) throws(STUNError) -> STUNAttribute {
        guard let attribute = self.parse(type: type, value: value, id: id) else {
            throw .malformedAttribute(type: type)
        }
        return attribute
    }

    private static func parse(type: UInt16, value: ByteBuffer, id: TransactionID) -> STUNAttribute? {
        var value = value
        switch type {
        case STUNAttributeType.mappedAddress:
            return TransportAddress(reading: &value).map { .mappedAddress($0) }
        case STUNAttributeType.xorMappedAddress:
            return TransportAddress(reading: &value).map { .xorMappedAddress($0.xored(with: id)) }
        case STUNAttributeType.alternateServer:
            return TransportAddress(reading: &value).map { .alternateServer($0) }
        case STUNAttributeType.username:
            return value.readText(atMost: self.maximumUsernameLength).map { .username($0) }
        case STUNAttributeType.realm:
            return value.readText(atMost: self.maximumStringLength).map { .realm($0) }
        case STUNAttributeType.nonce:
            return value.readText(atMost: self.maximumStringLength).map { .nonce($0) }
        case STUNAttributeType.software:
            return value.readText(atMost: self.maximumStringLength).map { .software($0) }
        case STUNAttributeType.errorCode:
            guard let (_, hundreds, units) = value.readMultipleIntegers(as: (UInt16, UInt8, UInt8).self), units < 100,
                let reason = value.readText(atMost: self.maximumStringLength),
                let error = STUNErrorCode(code: Int(hundreds & 7) * 100 + Int(units), reason: reason)
            else {
                return nil
            }
            return .errorCode(error)
        case STUNAttributeType.unknownAttributes:
            var types = [UInt16]()
            while let type = value.readInteger(as: UInt16.self) {
                types.append(type)
            }
            return value.readableBytes == 0 ? .unknownAttributes(types) : nil
        case STUNAttributeType.priority:
            return value.readOnlyInteger(as: UInt32.self).map { .priority($0) }
        case STUNAttributeType.useCandidate:
            return value.readableBytes == 0 ? .useCandidate : nil
        case STUNAttributeType.iceControlled:
            return value.readOnlyInteger(as: UInt64.self).map { .iceControlled($0) }
        case STUNAttributeType.iceControlling:
            return value.readOnlyInteger(as: UInt64.self).map { .iceControlling($0) }
        case STUNAttributeType.padding:
            return .padding(value.readableBytes)
        default:
            return .other(type: type, value: Array(value.readableBytesView))
        }
    }
}

//  MAPPED-ADDRESS, RFC 8489 §14.1
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |0 0 0 0 0 0 0 0|    Family     |           Port                |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//  |                 Address (32 bits or 128 bits)                 |
//  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
extension TransportAddress {
    fileprivate init?(reading buffer: inout ByteBuffer) {
        guard let (_, family, port) = buffer.readMultipleIntegers(as: (UInt8, UInt8, UInt16).self) else {
            return nil
        }
        switch Family(rawValue: family) {
        case .ipv4:
            guard let address = buffer.readOnlyInteger(as: UInt32.self) else {
                return nil
            }
            self.init(ipv4: address, port: port)
        case .ipv6:
            guard let (high, low) = buffer.readMultipleIntegers(as: (UInt64, UInt64).self), buffer.readableBytes == 0
            else {
                return nil
            }
            self.init(ipv6: high, low, port: port)
        case nil:
            return nil
        }
    }

    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(UInt8(0), self.family.rawValue, self.port)
        switch self.family {
        case .ipv4: buffer.writeInteger(UInt32(truncatingIfNeeded: self.low))
        case .ipv6: buffer.writeMultipleIntegers(self.high, self.low)
        }
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2): the port with the cookie's upper half, the address with the cookie and,
    /// for IPv6, the transaction id. Its own inverse.
    fileprivate func xored(with id: TransactionID) -> TransportAddress {
        let cookie = STUNMessage.magicCookie
        let port = self.port ^ UInt16(truncatingIfNeeded: cookie >> 16)
        switch self.family {
        case .ipv4:
            return TransportAddress(ipv4: UInt32(truncatingIfNeeded: self.low) ^ cookie, port: port)
        case .ipv6:
            return TransportAddress(
                ipv6: self.high ^ (UInt64(cookie) << 32 | UInt64(id.high)), self.low ^ id.low, port: port)
        }
    }
}

extension ByteBuffer {
    /// An integer that fills the buffer exactly.
    fileprivate mutating func readOnlyInteger<T: FixedWidthInteger>(as type: T.Type) -> T? {
        guard self.readableBytes == MemoryLayout<T>.size else {
            return nil
        }
        return self.readInteger(as: type)
    }

    /// All remaining bytes as UTF-8, or nil if they are too many or not UTF-8.
    fileprivate mutating func readText(atMost limit: Int) -> String? {
        guard self.readableBytes <= limit else {
            return nil
        }
        return String(validating: self.readableBytesView, as: UTF8.self)
    }
}
