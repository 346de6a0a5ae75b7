import Basics
import ICE
import NIOCore
import STUN

/// What the outside addresses that several STUN servers see say of the NAT in front of us: RFC 5780 §4.3, but with
/// any servers instead of one that knows its second address. A value: put in what was asked and answered, read `behavior`.
///
/// Each socket is judged by itself, since a NAT's mapping belongs to one inside address and port. IPv4 decides where it
/// has got an answer: it is where the NATs are, and a path over IPv6 needs no help. Of several sockets of a family the
/// friendliest counts, since ICE takes the path that works.
struct MappingInference {
    /// One socket that serves one address family.
    fileprivate struct Socket {
        let ownAddresses: Set<TransportAddress>
        var families: Set<TransportAddress.Family> = []
        var answers: [Answer] = []
    }

    fileprivate struct Answer {
        let server: TransportAddress
        let mapped: TransportAddress
    }

    private var sockets: [LocalBaseID: Socket] = [:]

    /// `hosts`: every host candidate of every socket, with the socket's port.
    init(hosts: [ICECandidate]) {
        for (base, hosts) in Dictionary(grouping: hosts, by: \.base) {
            guard let base else { continue }
            self.sockets[base] = Socket(ownAddresses: Set(hosts.compactMap { TransportAddress($0.address) }))
        }
    }

    /// A server of this family is asked from this socket.
    mutating func asked(on base: LocalBaseID, family: TransportAddress.Family) {
        self.sockets[base]?.families.insert(family)
    }

    /// `server` sees the socket as `mapped`.
    mutating func answered(on base: LocalBaseID, server: TransportAddress, mapped: SocketAddress) {
        guard let mapped = TransportAddress(mapped) else { return }
        self.sockets[base]?.answers.append(Answer(server: server, mapped: mapped))
    }

    /// What all of it says.
    var behavior: MappingBehavior {
        for family in [TransportAddress.Family.ipv4, .ipv6] {
            let answered = self.sockets.values.filter { socket in
                socket.answers.contains { $0.server.family == family }
            }
            if let behavior = answered.map(\.behavior).min(by: { $0.rank < $1.rank }) { return behavior }
        }
        return self.sockets.values.contains { !$0.families.isEmpty } ? .udpBlocked : .unknown
    }
}

extension MappingInference.Socket {
    /// What the answers of this socket say; there is at least one.
    fileprivate var behavior: MappingBehavior {
        // A server on our side of the NAT sees what we are inside, which says nothing of the outside.
        let outside = self.answers.filter { !self.ownAddresses.contains($0.mapped) }
        guard !outside.isEmpty else { return self.answers.isEmpty ? .unknown : .none }
        let servers = Dictionary(grouping: outside) { $0.server.with(port: 0) }
        guard servers.values.allSatisfy({ Set($0.map(\.mapped)).count == 1 }) else { return .addressAndPortDependent }
        let hasTwoPorts = servers.values.contains { Set($0.map(\.server.port)).count > 1 }
        guard servers.count > 1 else { return hasTwoPorts ? .portIndependent : .unknown }
        if Set(outside.map(\.mapped)).count == 1 { return .endpointIndependent }
        // Different for different addresses. With one port asked of each, that it is the same for two ports is nothing
        // that anybody has seen; NATs for which it is are rare.
        return hasTwoPorts ? .addressDependent : .addressAndPortDependent
    }
}

extension MappingBehavior {
    /// Smaller is friendlier to direct paths.
    fileprivate var rank: Int {
        switch self {
        case .none: 0
        case .endpointIndependent: 1
        case .portIndependent: 2
        case .addressDependent: 3
        case .addressAndPortDependent: 4
        case .unknown: 5
        case .udpBlocked: 6
        }
    }
}
