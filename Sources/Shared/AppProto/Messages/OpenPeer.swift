import CAppProto

/// A client's offer of a peer channel, which the server passes on to the agent.
package struct OpenPeer: Hashable, Sendable {
    /// What the channel is for.
    package enum Kind: Hashable, Sendable {
        /// A QUIC tunnel, ALPN `rtun-tunnel/1`: every bidirectional stream of the client is one TCP connection.
        case quicTunnel
        /// A DTLS datagram channel for the UDP flows of one relay rule.
        case udpRelay(UdpRelay)
    }

    package var peerID: PeerID
    package var name: String
    package var instanceID: InstanceID
    package var ice: IceParameters
    /// Those known already, at most 64; the rest trickle.
    package var candidates: [Candidate]
    /// SHA-256 of the client's certificate in DER, 32 bytes.
    package var fingerprint: [UInt8]
    /// 32 bytes with an end-to-end secret, else empty.
    package var e2eMAC: [UInt8]
    /// `nil`: a kind that this version does not know.
    package var kind: Kind?
    /// Whether datagrams of the channel may come by way of the server, as `Bridge`.
    package var bridge = false
    /// Whether connectivity checks with PADDING are answered, and with as much of it.
    package var paddedChecks = false
    /// Who offers, by the server's word; nil at the client, and from an older server.
    package var client: ClientStamp?
    package var unknownFields = UnknownFields()

    package init(
        peerID: PeerID, name: String, instanceID: InstanceID, ice: IceParameters, candidates: [Candidate] = [],
        fingerprint: [UInt8], e2eMAC: [UInt8] = [], kind: Kind?
    ) {
        self.peerID = peerID
        self.name = name
        self.instanceID = instanceID
        self.ice = ice
        self.candidates = candidates
        self.fingerprint = fingerprint
        self.e2eMAC = e2eMAC
        self.kind = kind
    }
}

extension OpenPeer: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__OpenPeer>) { rtun__open_peer__init(pointer) }

    init(_ message: Rtun__OpenPeer) throws(AppProtoError) {
        self.peerID = try readPeerID(message.peer_id)
        self.name = try readString(message.name, "name", length: 1...AppProtoLimits.name)
        self.instanceID = try readInstanceID(message.instance_id, "instance_id")
        self.ice = try readMessage(message.ice, "ice")
        self.candidates = try readMessages(
            message.candidates, count: message.n_candidates, "candidates", limit: AppProtoLimits.candidates)
        self.fingerprint = try readBytes(message.fingerprint, "fingerprint", length: 32...32)
        self.e2eMAC = try readOptionalBytes(message.e2e_mac, "e2e_mac", length: 32)
        switch message.kind_case {
        case RTUN__OPEN_PEER__KIND_QUIC_TUNNEL: self.kind = .quicTunnel
        case RTUN__OPEN_PEER__KIND_UDP_RELAY: self.kind = .udpRelay(try readMessage(message.udp_relay, "udp_relay"))
        default: self.kind = nil
        }
        self.bridge = message.bridge != 0
        self.paddedChecks = message.padded_checks != 0
        self.client = message.client == nil ? nil : try readMessage(message.client, "client")
        self.unknownFields = try UnknownFields(message.base)
    }

    func fill(_ message: inout Rtun__OpenPeer, _ arena: Arena) {
        message.peer_id = arena.bytes(self.peerID.bytes)
        message.name = arena.string(self.name)
        message.instance_id = arena.string(self.instanceID.rawValue)
        message.ice = arena.message(self.ice)
        message.n_candidates = self.candidates.count
        message.candidates = arena.messages(self.candidates)
        message.fingerprint = arena.bytes(self.fingerprint)
        message.e2e_mac = arena.bytes(self.e2eMAC)
        switch self.kind {
        case .quicTunnel:
            message.kind_case = RTUN__OPEN_PEER__KIND_QUIC_TUNNEL
            message.quic_tunnel = arena.message(QuicTunnel())
        case .udpRelay(let relay):
            message.kind_case = RTUN__OPEN_PEER__KIND_UDP_RELAY
            message.udp_relay = arena.message(relay)
        case nil: break
        }
        message.bridge = self.bridge ? 1 : 0
        message.padded_checks = self.paddedChecks ? 1 : 0
        message.client = arena.optional(self.client)
        arena.unknownFields(self.unknownFields, into: &message.base)
    }
}
