import Basics
import NIOCore

@testable import AppProto

/// One value of every message, with every field set.
enum Sample {
    static let instanceID = InstanceID(rawValue: "0123456789abcdef0123456789abcdef") ?? .random()
    static let peerID = PeerID(bytes: Array(1...16)) ?? .random()
    static let nonce = [UInt8](repeating: 7, count: 32)
    static let ice = IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv+/")
    static let registration = AgentRegistration(
        name: "büro", expireInMilliseconds: 60_000, labels: ["os": "linux", "zone": ""], resumeToken: [1, 2, 3])
    static let process = AgentProcess(
        nonce: Array(1...16), aliveMilliseconds: 86_400_000, isReturning: true)
    static let keyProof = KeyProof(certificate: Array(1...200), isKept: true, signature: Array(1...72))
    static let key = CertificateFingerprint(bytes: Self.nonce).map { ProvedKey(fingerprint: $0, isKept: true) }
    static let agentWithKey = AgentInfo(
        name: "büro", instanceID: Self.instanceID, address: "[::1]:9", software: "rtun-agent/0.13.0", key: Self.key)
    static let listedAgent = {
        var agent = Self.agentWithKey
        agent.isKeyListed = true
        return agent
    }()
    static let agent = AgentInfo(
        name: "büro", instanceID: Self.instanceID, expireAtMilliseconds: 1_700_000_000_000, address: "[::1]:9",
        software: "rtun-agent/0.1.0", labels: ["os": "linux"])

    static func candidate(_ address: String, port: Int, related: String? = nil) throws -> Candidate {
        Candidate(
            type: related == nil ? .host : .serverReflexive, foundation: "1", priority: 2_130_706_431,
            address: try SocketAddress(ipAddress: address, port: port),
            relatedAddress: try related.map { try SocketAddress(ipAddress: $0, port: 0) })
    }

    static func bodies() throws -> [Envelope.Body] {
        let candidates = [
            try candidate("192.0.2.1", port: 1), try candidate("2001:db8::1", port: 65535, related: "::"),
        ]
        return [
            .serverHello(
                ServerHello(
                    versions: [1, 2], serverNonce: nonce, bindingTypes: [.tlsExporter, .none], software: "rtun-server/1"
                )),
            .hello(
                Hello(
                    version: 1, role: .client, clientNonce: nonce, bindingType: .none, software: "rtun-socks/1",
                    mac: nonce)),
            .hello(
                Hello(
                    version: 1, role: .client, clientNonce: nonce, bindingType: .none, software: "rtun-socks/1",
                    keyProof: keyProof, mac: nonce)),
            .goodbye(Goodbye(code: .replaced, reason: "a newer agent")),
            .ping, .pong,
            .failure(Failure(code: .agentGone, reason: "gone")),
            .listAgents(),
            .agentList(AgentList(agents: [agent, agentWithKey, listedAgent])),
            .bind(Bind(name: "büro", instanceID: instanceID)),
            .bind(Bind(name: "büro")),
            .bound(Bound(agent: agent)),
            .agentGone(AgentGone(name: "büro", instanceID: instanceID, reason: .expired)),
            .openPeer(
                OpenPeer(
                    peerID: peerID, name: "büro", instanceID: instanceID, ice: ice, candidates: candidates,
                    fingerprint: nonce, e2eMAC: nonce, kind: .quicTunnel)),
            .openPeer(
                OpenPeer(
                    peerID: peerID, name: "büro", instanceID: instanceID, ice: ice, fingerprint: nonce,
                    kind: .udpRelay(
                        UdpRelay(
                            target: try SocketAddress(ipAddress: "2001:db8::53", port: 53), idleTimeout: .seconds(120),
                            maximumPayload: 1200)))),
            .openPeerReply(
                OpenPeerReply(peerID: peerID, ice: ice, candidates: candidates, fingerprint: nonce, e2eMAC: [])),
            .peerCandidate(PeerCandidate(peerID: peerID, candidate: candidates[0])),
            .peerCandidate(PeerCandidate(endOfCandidatesOf: peerID)),
            .closePeer(ClosePeer(peerID: peerID, reason: "done")),
            .bridge(Bridge(peerID: peerID, datagrams: ByteBuffer(repeating: 7, count: 2500), segmentSize: 1200)),
            .bridge(Bridge(peerID: peerID, datagrams: ByteBuffer(bytes: [0]))),
            .restartPeer(
                RestartPeer(
                    peerID: peerID, name: "büro", instanceID: instanceID, generation: 1, ice: ice,
                    candidates: candidates, e2eMAC: nonce)),
            .restartPeerReply(
                RestartPeerReply(peerID: peerID, generation: .max, ice: ice, candidates: candidates, e2eMAC: nonce)),
            .restartWanted(RestartWanted(peerID: peerID)),
            .mappingReport(MappingReport(mapping: .addressDependent)),
            .goodbye(Goodbye(code: .keyUnknown, reason: "not listed")),
            .agentGone(AgentGone(name: "büro", instanceID: instanceID, reason: .removed)),
            .askPeerKeys,
        ] + (key.map { [.peerKey(PeerKey($0.fingerprint)), .keyGone(KeyGone($0.fingerprint))] } ?? [])
    }
}
