import CLinuxNetlink
import LibC
import NIOCore

/// The IPv6 addresses that cannot be used yet, while the machine finds out whether somebody else has them
/// (RFC 4862 §5.4), or that somebody else has. getifaddrs(3) does not tell them from others.
struct TentativeAddresses {
    /// 16 octets each.
    private var octets: Set<[UInt8]> = []

    /// What the kernel says; nothing when it may not be asked.
    static func current(by socket: NetlinkSocket) -> TentativeAddresses {
        TentativeAddresses(socket.ask(self.request, isList: true) ?? [])
    }

    /// `RTM_GETADDR` for IPv6. Its structure `ifaddrmsg` is family, length of the prefix, flags and scope, u8 each, and
    /// the index of the interface, u32.
    private static var request: ByteBuffer {
        var payload = ByteBuffer()
        payload.writeInteger(UInt8(clamping: AF_INET6))
        payload.writeRepeatingByte(0, count: Self.structureSize - 1)
        return NetlinkMessage.request(CInt(RTM_GETADDR), flags: NLM_F_DUMP, payload)
    }

    private static let structureSize = 8

    init(_ messages: [NetlinkMessage] = []) {
        for message in messages where message.type == CInt(RTM_NEWADDR) {
            var payload = message.payload
            guard let structure = payload.readBytes(length: Self.structureSize),
                Self.isUnusable(flags: CInt(structure[2]))
            else { continue }
            while let (type, value) = payload.readNetlinkAttribute() {
                if type == CInt(IFA_ADDRESS) { self.octets.insert(Array(value.readableBytesView)) }
            }
        }
    }

    /// An optimistic address (RFC 4429) may be used at once.
    private static func isUnusable(flags: CInt) -> Bool {
        flags & IFA_F_DADFAILED != 0 || flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE
    }

    func contains(_ address: SocketAddress) -> Bool {
        self.octets.contains(address.octets)
    }
}
