import NIOCore
import STUN
import Testing

@testable import ICE

func address(_ ip: String, _ port: Int) throws -> SocketAddress {
    try SocketAddress(ipAddress: ip, port: port)
}

/// Two peers on a network, and the signalling between them.
struct Session {
    let network: VirtualNetwork
    let client: Peer
    let agent: Peer

    init(
        seed: UInt64 = 1, clientRole: ICERole = .controlling, agentRole: ICERole = .controlled,
        tieBreakers: (UInt64, UInt64)? = nil, clientNAT: NAT? = nil, agentNAT: NAT? = nil,
        configuration: ICEConfiguration = ICEConfiguration()
    ) {
        self.network = VirtualNetwork(seed: seed)
        self.client = Peer(
            "client", role: clientRole, tieBreaker: tieBreakers?.0, nat: clientNAT, seed: seed,
            configuration: configuration)
        self.agent = Peer(
            "agent", role: agentRole, tieBreaker: tieBreakers?.1, nat: agentNAT, seed: seed,
            configuration: configuration)
        self.network.attach(self.client)
        self.network.attach(self.agent)
    }

    var peers: [Peer] { [self.client, self.agent] }

    /// Opens a socket and returns its host candidate. The peer is told by the caller.
    func open(_ peer: Peer, _ ip: String, port: Int = 5000, interface: Int = 0) throws -> ICECandidate {
        let base = LocalBaseID(peer.sockets.count)
        let local = try address(ip, port)
        peer.sockets[base] = TransportAddress(local)
        return .host(address: local, base: base, interfaceIndex: interface)
    }

    /// What a STUN server on the public network sees.
    func reflexive(_ peer: Peer, of host: ICECandidate) throws -> ICECandidate? {
        let server = try address("198.51.100.1", 3478)
        guard let inside = TransportAddress(host.address), let to = TransportAddress(server),
            let mapped = peer.nat?.outbound(from: inside, to: to).socketAddress
        else {
            return nil
        }
        return .serverReflexive(mapped: mapped, host: host, server: server)
    }

    /// Gathers a host candidate, and the reflexive one behind a NAT.
    func gather(_ peer: Peer, _ ip: String, port: Int = 5000, interface: Int = 0) throws -> [ICECandidate] {
        let host = try self.open(peer, ip, port: port, interface: interface)
        return [host] + [try self.reflexive(peer, of: host)].compactMap { $0 }
    }

    func add(_ candidates: [ICECandidate], to peer: Peer) {
        for candidate in candidates {
            self.network.drive(peer) { $0.addLocalCandidate(candidate, at: self.network.now) }
        }
    }

    func tell(_ peer: Peer, _ candidates: [ICECandidate], ended: Bool = true) {
        for candidate in candidates {
            self.network.drive(peer) { $0.addRemoteCandidate(candidate, at: self.network.now) }
        }
        if ended {
            self.network.drive(peer) { $0.remoteCandidatesEnded(at: self.network.now) }
        }
    }

    func introduce(_ other: Peer, to peer: Peer) {
        self.network.drive(peer) { $0.setRemote(credentials: other.credentials, at: self.network.now) }
    }

    /// Candidates, credentials and ends, all at once, as in an offer that is answered after `signallingDelay`: the agent
    /// knows everything at once, the client one delay later.
    func exchange(
        client: [ICECandidate], agent: [ICECandidate], signallingDelay: TimeAmount = .milliseconds(20)
    ) {
        self.add(client, to: self.client)
        self.add(agent, to: self.agent)
        for peer in self.peers {
            self.network.drive(peer) { $0.localCandidatesEnded(at: self.network.now) }
        }
        self.introduce(self.client, to: self.agent)
        self.tell(self.agent, client)
        self.network.after(signallingDelay) { [self] in
            self.introduce(self.agent, to: self.client)
            self.tell(self.client, agent)
        }
    }

    /// As above, with one address of IPv4 and one of IPv6 on each side: 192.0.2.1 and 2001:db8::1 at the client, the next at
    /// the agent.
    func exchangeBothFamilies() throws {
        self.exchange(
            client: try self.gather(self.client, "192.0.2.1") + self.gather(self.client, "2001:db8::1"),
            agent: try self.gather(self.agent, "192.0.2.2") + self.gather(self.agent, "2001:db8::2"))
    }

    @discardableResult
    func runUntilSelected(for limit: TimeAmount = .seconds(15)) -> Bool {
        self.network.run(for: limit) { self.client.isSelected && self.agent.isSelected }
    }

    /// Both ends of the path are the two ends of one path: what each sends to is where the other's packets come from.
    func expectOnePath(sourceLocation: SourceLocation = #_sourceLocation) {
        guard let a = self.client.path, let b = self.agent.path else {
            Issue.record("a side has no path", sourceLocation: sourceLocation)
            return
        }
        #expect(a.remoteAddress == b.local.address, sourceLocation: sourceLocation)
        #expect(b.remoteAddress == a.local.address, sourceLocation: sourceLocation)
    }
}
