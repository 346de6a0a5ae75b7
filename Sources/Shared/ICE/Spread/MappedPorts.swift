package import NIOCore
import STUN

/// The ports that a NAT has given one socket of the peer for several destinations, as the peer's candidates tell.
package struct MappedPorts: Hashable, Sendable {
    /// The NAT's outside address, with the last of the ports.
    package let outside: SocketAddress
    /// The socket's own port behind the NAT; nil when the peer does not tell.
    package let basePort: UInt16?
    /// In the order in which the peer told them, which is about that in which they were given. Not empty.
    package let ports: [UInt16]

    /// What `candidates` say: those that are server-reflexive, and share the base and the outside address. In the order of
    /// the first of each.
    package static func observed(in candidates: [ICECandidate]) -> [MappedPorts] {
        struct Key: Hashable {
            let outside: TransportAddress
            let base: TransportAddress?
        }
        var order: [Key] = []
        var found: [Key: MappedPorts] = [:]
        for candidate in candidates where candidate.kind == .serverReflexive {
            guard var outside = TransportAddress(candidate.address) else { continue }
            let port = outside.port
            outside = outside.withoutPort
            let base = candidate.relatedAddress.flatMap { TransportAddress($0) }
            let key = Key(outside: outside, base: base)
            let known = found[key]?.ports ?? []
            if known.isEmpty { order.append(key) }
            guard !known.contains(port) else { continue }
            found[key] = MappedPorts(
                outside: candidate.address, basePort: base.map(\.port).flatMap { $0 == 0 ? nil : $0 },
                ports: known + [port])
        }
        return order.compactMap { found[$0] }
    }
}

extension TransportAddress {
    fileprivate var withoutPort: TransportAddress {
        // The octets of an address make an address.
        guard var address = self.socketAddress else { return self }
        address.port = 0
        return TransportAddress(address) ?? self
    }
}
