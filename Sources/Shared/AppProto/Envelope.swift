package import NIOCore

/// One message on the control connection: one binary WebSocket message, or one record on the QUIC stream.
package struct Envelope: Hashable, Sendable {
    /// Fresh and non-zero in a request, repeated in its response, 0 in an event.
    package var id: UInt64
    /// `nil`: a body that this version does not know.
    package var body: Body?

    package enum Body: Hashable, Sendable {
        // The handshake, in this order.
        case serverHello(ServerHello)
        case hello(Hello)
        case welcome(Welcome)
        // At any time.
        case goodbye(Goodbye)
        case ping
        case pong
        /// The answer to a request that failed.
        case failure(Failure)
        // The registry, for clients.
        case listAgents(ListAgents = ListAgents())
        case agentList(AgentList)
        case bind(Bind)
        case bound(Bound)
        case agentGone(AgentGone)
        // Peer channels, between a client and an agent.
        case openPeer(OpenPeer)
        case openPeerReply(OpenPeerReply)
        case peerCandidate(PeerCandidate)
        case closePeer(ClosePeer)
        case bridge(Bridge)
        case restartPeer(RestartPeer)
        case restartPeerReply(RestartPeerReply)
        case restartWanted(RestartWanted)
        /// From an agent, about itself.
        case mappingReport(MappingReport)
        // Keys of peers, between a peer and the server.
        case peerKey(PeerKey)
        case keyGone(KeyGone)
        case askPeerKeys
    }

    package init(id: UInt64 = 0, _ body: Body) {
        self.id = id
        self.body = body
    }

    /// The serialisation; it may be longer than `AppProtoLimits.envelope` only if `body` is a long `AgentList`.
    package func encoded() -> ByteBuffer {
        self.serializedBuffer()
    }

    /// Decodes the readable bytes of `buffer`, which are one whole envelope of at most `AppProtoLimits.envelope` bytes.
    package init(decoding buffer: ByteBuffer) throws(AppProtoError) {
        try self.init(parsing: buffer, limit: AppProtoLimits.envelope)
    }
}
