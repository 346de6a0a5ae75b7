import STUN

/// A NAT: how it maps (RFC 4787 §4.1), and what it lets in (RFC 4787 §5).
struct NAT {
    enum Dependence: CaseIterable {
        case endpointIndependent
        case addressDependent
        case addressAndPortDependent
    }

    let mapping: Dependence
    let filtering: Dependence
    /// The outside address.
    let publicAddress: UInt32

    private struct MappingKey: Hashable {
        let inside: TransportAddress
        let towards: TransportAddress?
    }

    private struct Opening: Hashable {
        let port: UInt16
        let towards: TransportAddress?
    }

    private var mappings: [MappingKey: UInt16] = [:]
    private var insides: [UInt16: TransportAddress] = [:]
    private var openings: Set<Opening> = []
    private var nextPort: UInt16 = 20000

    init(mapping: Dependence, filtering: Dependence, publicAddress: UInt32) {
        self.mapping = mapping
        self.filtering = filtering
        self.publicAddress = publicAddress
    }

    /// The outside source of a packet that leaves; opens the way back.
    mutating func outbound(from inside: TransportAddress, to destination: TransportAddress) -> TransportAddress {
        let key = MappingKey(inside: inside, towards: Self.relevant(destination, self.mapping))
        let port: UInt16
        if let known = self.mappings[key] {
            port = known
        } else {
            port = self.nextPort
            self.nextPort += 7
            self.mappings[key] = port
            self.insides[port] = inside
        }
        self.openings.insert(Opening(port: port, towards: Self.relevant(destination, self.filtering)))
        return TransportAddress(ipv4: self.publicAddress, port: port)
    }

    /// Where a packet from outside goes, or nil when it is filtered.
    func inbound(from source: TransportAddress, to port: UInt16) -> TransportAddress? {
        guard self.openings.contains(Opening(port: port, towards: Self.relevant(source, self.filtering))) else {
            return nil
        }
        return self.insides[port]
    }

    private static func relevant(_ address: TransportAddress, _ dependence: Dependence) -> TransportAddress? {
        switch dependence {
        case .endpointIndependent: nil
        case .addressDependent: address.withPort(0)
        case .addressAndPortDependent: address
        }
    }
}

extension TransportAddress {
    func withPort(_ port: UInt16) -> TransportAddress {
        let octets = self.octets
        let value = octets.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return TransportAddress(ipv4: value, port: port)
    }
}
