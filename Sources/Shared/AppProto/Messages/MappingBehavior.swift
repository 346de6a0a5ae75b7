import CAppProto

/// How the NAT in front of a peer maps one socket's datagrams to several destinations (RFC 4787 §4.1).
package enum MappingBehavior: UInt32, Hashable, Sendable {
    /// Not known (yet), or one that this version does not know.
    case unknown = 0
    /// There is no NAT: the outside address is one of the machine's own.
    case none = 1
    case endpointIndependent = 2
    /// The same for two ports of one address; there was no second address to ask, so it may depend on that.
    case portIndependent = 3
    case addressDependent = 4
    case addressAndPortDependent = 5
    /// No STUN server answers.
    case udpBlocked = 6
}

extension MappingBehavior {
    init(_ value: Rtun__MappingBehavior) {
        self = MappingBehavior(rawValue: value.rawValue) ?? .unknown
    }

    var wireValue: Rtun__MappingBehavior { Rtun__MappingBehavior(rawValue: self.rawValue) }

    /// Whether the port that a STUN server sees is not the one that a peer will see.
    package var dependsOnDestination: Bool {
        switch self {
        case .addressDependent, .addressAndPortDependent: true
        case .unknown, .none, .endpointIndependent, .portIndependent, .udpBlocked: false
        }
    }
}

extension MappingBehavior: CustomStringConvertible {
    /// As in tables and logs.
    package var description: String {
        switch self {
        case .unknown: "unknown"
        case .none: "no-nat"
        case .endpointIndependent: "endpoint-independent"
        case .portIndependent: "port-independent"
        case .addressDependent: "address-dependent"
        case .addressAndPortDependent: "address-and-port-dependent"
        case .udpBlocked: "udp-blocked"
        }
    }
}
