import Basics
import NIOCore

/// How an address is written.
enum AddressType: UInt8 {
    case none = 0
    case ipv4 = 1
    case ipv6 = 2
    case name = 3
}

extension Endpoint {
    var addressType: AddressType {
        switch self.host {
        case .address(let address): address.family == .v4 ? .ipv4 : .ipv6
        case .name: .name
        }
    }

    /// Address and port, in bytes.
    var encodedLength: Int {
        switch self.host {
        case .address(let address): address.family.width / 8 + 2
        case .name(let name): 1 + name.utf8.count + 2
        }
    }
}

extension AssociationID {
    /// In bytes (RFC 9000 §16).
    var encodedLength: Int {
        switch self.rawValue {
        case ..<(1 << 6): 1
        case ..<(1 << 14): 2
        case ..<(1 << 30): 4
        default: 8
        }
    }
}

extension ByteBuffer {
    /// RFC 9000 §16: the two highest bits of the first byte say how many there are.
    mutating func readQUICVarint() -> UInt64? {
        guard let first = self.getInteger(at: self.readerIndex, as: UInt8.self) else { return nil }
        switch first >> 6 {
        case 0: return self.readInteger(as: UInt8.self).map(UInt64.init)
        case 1: return self.readInteger(as: UInt16.self).map { UInt64($0 & 0x3FFF) }
        case 2: return self.readInteger(as: UInt32.self).map { UInt64($0 & 0x3FFF_FFFF) }
        default: return self.readInteger(as: UInt64.self).map { $0 & 0x3FFF_FFFF_FFFF_FFFF }
        }
    }

    /// - Parameter value: less than 2^62; of a larger one the highest bits are lost.
    mutating func writeQUICVarint(_ value: UInt64) {
        switch value {
        case ..<(1 << 6): self.writeInteger(UInt8(value))
        case ..<(1 << 14): self.writeInteger(UInt16(value) | 1 << 14)
        case ..<(1 << 30): self.writeInteger(UInt32(value) | 1 << 31)
        default: self.writeInteger(value | 0b11 << 62)
        }
    }

    /// Reads address and port; nil when there is no such address, or the port is 0.
    mutating func readEndpoint(_ type: AddressType) -> Endpoint? {
        let host: Endpoint.Host
        switch type {
        case .none:
            return nil
        case .ipv4:
            guard let bits = self.readInteger(as: UInt32.self) else { return nil }
            host = .address(IPAddress(family: .v4, bits: UInt128(bits)))
        case .ipv6:
            guard let bits = self.readInteger(as: UInt128.self) else { return nil }
            host = .address(IPAddress(family: .v6, bits: bits))
        case .name:
            guard let name = self.readLengthPrefixedSlice(as: UInt8.self),
                let named = Endpoint.Host(name: name.readableBytesView)
            else { return nil }
            host = named
        }
        guard let port = self.readInteger(as: UInt16.self), port != 0 else { return nil }
        return Endpoint(host: host, port: port)
    }

    mutating func writeEndpoint(_ endpoint: Endpoint) {
        switch endpoint.host {
        case .address(let address) where address.family == .v4:
            self.writeInteger(UInt32(truncatingIfNeeded: address.bits))
        case .address(let address):
            self.writeInteger(address.bits)
        case .name(let name):
            self.writeInteger(UInt8(clamping: name.utf8.count))
            self.writeString(name)
        }
        self.writeInteger(endpoint.port)
    }
}
