package import NIOCore
import STUN

/// A transport address that one side can perhaps be reached at (RFC 8445 §5.1).
package struct ICECandidate: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// An address of an interface.
        case host
        /// What a STUN server sees: the outside of a NAT.
        case serverReflexive = "server-reflexive"
        /// What the peer sees, learned from a connectivity check.
        case peerReflexive = "peer-reflexive"
        /// An address of a relay.
        case relayed
    }

    package var kind: Kind
    /// 1...32 ice-chars; equal for candidates that are likely to share their fate (RFC 8445 §5.1.1.3).
    package var foundation: String
    /// RFC 8445 §5.1.2
    package var priority: UInt32
    package var address: SocketAddress
    /// For a reflexive candidate its base's address; information for people.
    package var relatedAddress: SocketAddress?
    /// The socket; local candidates only.
    package var base: LocalBaseID?

    package init(
        kind: Kind, foundation: String, priority: UInt32, address: SocketAddress,
        relatedAddress: SocketAddress? = nil, base: LocalBaseID? = nil
    ) {
        self.kind = kind
        self.foundation = foundation
        self.priority = priority
        self.address = address
        self.relatedAddress = relatedAddress
        self.base = base
    }
}

/// Candidates that we make ourselves.
extension ICECandidate {
    /// A local address, one per interface address and base.
    ///
    /// - Parameters:
    ///   - address: what the peer is to send to; never a wildcard address.
    ///   - interfaceIndex: the rank of the interface among those gathered, 0 the most preferred.
    package static func host(address: SocketAddress, base: LocalBaseID, interfaceIndex: Int) -> ICECandidate {
        ICECandidate(
            kind: .host,
            foundation: ICEPriority.foundation(.host, base: address, server: nil),
            priority: ICEPriority.candidate(
                .host, localPreference: ICEPriority.localPreference(interfaceIndex: interfaceIndex, address: address)),
            address: address, base: base)
    }

    /// What a STUN server saw when it was asked from the socket of `host`.
    package static func serverReflexive(
        mapped: SocketAddress, host: ICECandidate, server: SocketAddress
    ) -> ICECandidate {
        ICECandidate(
            kind: .serverReflexive,
            foundation: ICEPriority.foundation(.serverReflexive, base: host.address, server: server),
            priority: ICEPriority.candidate(
                .serverReflexive, localPreference: ICEPriority.localPreference(of: host.priority)),
            address: mapped, relatedAddress: host.address, base: host.base)
    }
}

extension ICECandidate: CustomStringConvertible {
    /// `host 192.0.2.1:5000`, `server-reflexive 203.0.113.9:6000 from 192.168.1.2:5000`
    package var description: String {
        let address = TransportAddress(self.address)?.description ?? "\(self.address)"
        guard let related = self.relatedAddress.flatMap({ TransportAddress($0) }) else {
            return "\(self.kind.rawValue) \(address)"
        }
        return "\(self.kind.rawValue) \(address) from \(related)"
    }
}
