package import NIOCore

/// Where a datagram goes to or comes from. Takes no memory of its own unless it is a name: every datagram has one.
package struct Endpoint: Hashable, Sendable {
    package enum Host: Hashable, Sendable {
        case address(IPAddress)
        /// 1 to 255 bytes of UTF-8 without control characters or spaces; resolved by whoever sends there.
        case name(String)
    }

    package let host: Host
    /// 1 to 65535.
    package let port: UInt16

    /// What is shown as the target of those that may send anywhere.
    package static let anywhere = "*:0"

    package init(host: Host, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Nil for a UNIX domain socket, and without a port.
    package init?(_ address: SocketAddress) {
        guard let ip = IPAddress(address), let port = address.port.flatMap(UInt16.init(exactly:)), port != 0 else {
            return nil
        }
        self.init(host: .address(ip), port: port)
    }
}

extension Endpoint.Host {
    /// Checks a name as it came from elsewhere; nil for one that no resolver could make sense of. One that spells an address,
    /// in brackets or not, is that address.
    package init?(name bytes: some Collection<UInt8>) {
        guard (1...255).contains(bytes.count), bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7F }),
            let name = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let unbracketed = name.hasPrefix("[") && name.hasSuffix("]") ? String(name.dropFirst().dropLast()) : name
        self = IPAddress(parsing: unbracketed).map { .address($0) } ?? .name(name)
    }
}

extension Endpoint: CustomStringConvertible {
    /// `host:port`, an IPv6 address in brackets.
    package var description: String {
        switch self.host {
        case .name(let name): hostWithPort(name, self.port)
        case .address(let address): address.socketAddress(port: self.port)?.authority ?? ""
        }
    }
}
