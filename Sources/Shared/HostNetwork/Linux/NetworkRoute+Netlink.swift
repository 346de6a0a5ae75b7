import CLinuxNetlink
import LibC
package import NIOCore

extension NetworkRoute {
    /// The route to `address`, with all the kernel's rules; nil when there is none, or the kernel may not be asked.
    /// Nothing is sent.
    package static func lookup(to address: SocketAddress) -> NetworkRoute? {
        guard let socket = try? NetlinkSocket(groups: 0) else { return nil }
        return self.lookup(to: address, by: socket)
    }

    static func lookup(to address: SocketAddress, by socket: NetlinkSocket) -> NetworkRoute? {
        guard let request = self.request(to: address) else { return nil }
        return socket.ask(request, isList: false)?.first.flatMap(NetworkRoute.init)
    }

    /// `RTM_GETROUTE` with the destination. Its structure `rtmsg` is family, length of the destination's prefix, six more
    /// bytes, and flags, u32.
    static func request(to address: SocketAddress) -> ByteBuffer? {
        let octets = address.octets
        guard !octets.isEmpty else { return nil }
        var payload = ByteBuffer()
        payload.writeInteger(UInt8(clamping: address.protocol.rawValue))
        payload.writeInteger(UInt8(clamping: octets.count * 8))
        payload.writeRepeatingByte(0, count: Self.structureSize - 2)
        payload.writeNetlinkAttribute(CInt(RTA_DST.rawValue), octets)
        if let scope = address.scope {
            payload.writeNetlinkAttribute(CInt(RTA_OIF.rawValue), withUnsafeBytes(of: scope) { Array($0) })
        }
        return NetlinkMessage.request(CInt(RTM_GETROUTE), payload)
    }

    /// What an `RTM_NEWROUTE` says. Nil when it is something else, or leads nowhere.
    init?(_ message: NetlinkMessage) {
        var payload = message.payload
        guard message.type == CInt(RTM_NEWROUTE), let structure = payload.readBytes(length: Self.structureSize),
            structure[7] == RTN_UNICAST || structure[7] == RTN_LOCAL
        else { return nil }
        var interfaceIndex: UInt32?
        var gateway: [UInt8]?
        while let attribute = payload.readNetlinkAttribute() {
            var value = attribute.value
            switch attribute.type {
            case CInt(RTA_OIF.rawValue):
                interfaceIndex = value.readHost(UInt32.self)
            case CInt(RTA_GATEWAY.rawValue):
                gateway = Array(value.readableBytesView)
            case CInt(RTA_VIA.rawValue):
                // A router of the other family (RFC 5549): the family, u16, and the address.
                gateway = Array(value.readableBytesView.dropFirst(2))
            default:
                break
            }
        }
        guard let interfaceIndex else { return nil }
        self.init(interfaceIndex: interfaceIndex, gateway: gateway)
    }

    private static let structureSize = 12
}

extension SocketAddress {
    /// The interface that an IPv6 address is meant on, where that is said.
    fileprivate var scope: UInt32? {
        guard case .v6(let v6) = self, v6.address.sin6_scope_id != 0 else { return nil }
        return v6.address.sin6_scope_id
    }
}
