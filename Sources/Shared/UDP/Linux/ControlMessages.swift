import LibC
import NIOCore

/// The control messages of one `sendmsg` (cmsg(3)): each a header and its data, padded to the header's alignment.
struct ControlMessages {
    /// Room for both kinds.
    static let capacity = 2 * (MemoryLayout<cmsghdr>.stride + 24)

    private let memory: UnsafeMutableRawBufferPointer
    /// Bytes that have been filled.
    private(set) var length = 0

    /// `memory`: ``capacity`` bytes, aligned for a header.
    init(_ memory: UnsafeMutableRawBufferPointer) {
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        self.memory = memory
    }

    /// Cut the bytes into datagrams of this size (UDP GSO).
    mutating func add(segmentSize: UInt16) {
        withUnsafeBytes(of: segmentSize) {
            self.add($0, level: NIOBSDSocket.OptionLevel.udp.rawValue, type: NIOBSDSocket.Option.udp_segment.rawValue)
        }
    }

    /// Send from this address of this machine (`struct in_pktinfo` of ip(7), `struct in6_pktinfo` of ipv6(7)).
    mutating func add(source: SocketAddress) {
        switch source {
        case .v4(let address):
            // An interface would bind the route to it; the address is enough.
            let info = in_pktinfo(ipi_ifindex: 0, ipi_spec_dst: address.address.sin_addr, ipi_addr: in_addr())
            withUnsafeBytes(of: info) { self.add($0, level: CInt(IPPROTO_IP), type: CInt(IP_PKTINFO)) }
        case .v6(let address):
            // The address, then the interface, to which link-local addresses belong. glibc's module for Swift lacks the struct.
            let info = (address.address.sin6_addr, address.address.sin6_scope_id)
            withUnsafeBytes(of: info) { self.add($0, level: CInt(IPPROTO_IPV6), type: CInt(IPV6_PKTINFO)) }
        case .unixDomainSocket: break
        }
    }

    private mutating func add(_ data: UnsafeRawBufferPointer, level: CInt, type: CInt) {
        let headerLength = MemoryLayout<cmsghdr>.stride
        let size = headerLength + data.count
        guard self.length + size <= self.memory.count else { return }
        var header = cmsghdr()
        header.cmsg_len = .init(size)
        header.cmsg_level = level
        header.cmsg_type = type
        self.memory.storeBytes(of: header, toByteOffset: self.length, as: cmsghdr.self)
        UnsafeMutableRawBufferPointer(rebasing: self.memory[(self.length + headerLength)...]).copyMemory(from: data)
        let alignment = MemoryLayout<Int>.alignment
        self.length += (size + alignment - 1) / alignment * alignment
    }
}
