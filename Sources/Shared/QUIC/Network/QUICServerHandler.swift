import Basics
package import NIOCore
package import TLS
import UDP

/// Which connections there are, by their ids, over all sockets of a server: a stateless reset ends a connection wherever it
/// is asked for, so that no socket may give one away for another's. Belongs to the sockets' event loop.
package final class QUICConnectionTable {
    fileprivate var peers: [ConnectionID: QUICServerHandler.Peer] = [:]

    package init() {}
}

@available(*, unavailable)
extension QUICConnectionTable: Sendable {}

/// A QUIC server on a datagram channel: accepts connections and gives each datagram to the one it belongs to.
///
/// Datagrams whose first byte is not QUIC's (RFC 9443 §3: 64...127 and 192...255) are fired on, so that STUN can live
/// behind it. A connection stays with the address that it was opened from: datagrams of it from elsewhere are
/// dropped, as there is no path validation below `OpaquePath`; a client whose address changes connects anew.
package final class QUICServerHandler: ChannelInboundHandler, RemovableChannelHandler, QUICSessionEndpoint {
    package typealias InboundIn = AddressedEnvelope<ByteBuffer>
    package typealias InboundOut = AddressedEnvelope<ByteBuffer>
    package typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    /// What protects the server from those who open connections and never use them.
    package struct Limits: Sendable {
        /// With this many handshakes pending, new clients have to prove their address first (Retry).
        package var retryAbove = 64
        /// So many handshakes may be pending. One more, and the oldest goes of the network that has most.
        package var maxHandshakes = 1024
        /// So many of one network (an IPv4 address, a /64 of IPv6).
        package var maxHandshakesPerSource = 128
        /// With this many connections, further first packets are dropped.
        package var maxSessions = 65_536
        /// Stateless resets and version negotiations per second.
        package var statelessAnswersPerSecond = 200

        package init() {}
    }

    /// One connection and the address it talks to.
    fileprivate final class Peer {
        let session: QUICSession
        let address: SocketAddress
        /// Under which it stands in the table.
        var ids: Set<ConnectionID> = []
        var isShakingHands = true
        /// Set while it waits for the end of the read batch.
        var isTouched = false

        init(session: QUICSession, address: SocketAddress) {
            self.session = session
            self.address = address
        }
    }

    private let accept: (QUICSession, SocketAddress) -> Void
    private let limits: Limits
    private var quic: QUICContext
    private var context: ChannelHandlerContext?
    private let table: QUICConnectionTable
    private var sessions: [ObjectIdentifier: Peer] = [:]
    private var touched: [Peer] = []
    private var handshakes: FairPlaces<ObjectIdentifier, SourceNetwork>
    private var isReading = false
    private var answers: TokenBucket

    /// `accept` is called with each session before its handshake is complete: set its delegate there. All sockets that use
    /// the same stateless reset key have one `table`.
    package init(
        configuration: QUICConfiguration, limits: Limits = Limits(), table: QUICConnectionTable = QUICConnectionTable(),
        accept: @escaping (_ session: QUICSession, _ remote: SocketAddress) -> Void
    ) throws(QUICError) {
        self.quic = try QUICContext(role: .server, configuration: configuration)
        self.limits = limits
        self.table = table
        self.handshakes = FairPlaces(limit: limits.maxHandshakes, share: limits.maxHandshakesPerSource)
        self.accept = accept
        self.answers = TokenBucket(perSecond: limits.statelessAnswersPerSecond, at: .uptimeNanoseconds(0))
    }

    /// New connections are served with `identity` from now on; live ones keep theirs. On the channel's event loop.
    package func replaceIdentity(_ identity: Identity) throws(QUICError) {
        self.quic = try self.quic.replacing(identity: identity)
    }

    /// Closes every session with this code and reason. On the channel's event loop.
    package func closeAll(code: UInt64, reason: String) {
        for peer in self.sessions.values {
            peer.session.close(code: code, reason: reason)
        }
    }

    /// How many connections there are: alive, shaking hands, or lingering for 3 probe timeouts after their end.
    package var sessionCount: Int { self.sessions.count }

    // MARK: Channel events

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.closeAll(code: 0, reason: "the server is going away")
        self.context = nil
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.closeAll(code: 0, reason: "the server's socket is closed")
        self.context = nil
        context.fireChannelInactive()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        let isWritable = context.channel.isWritable
        for peer in self.sessions.values { peer.session.isPathWritable = isWritable }
        context.fireChannelWritabilityChanged()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = self.unwrapInboundIn(data)
        // One socket may be the origin of several connections, and of more than QUIC, so each datagram is looked at.
        for datagram in DatagramSegments(envelope.data, size: envelope.metadata?.segmentSize) {
            guard let first = datagram.getInteger(at: datagram.readerIndex, as: UInt8.self),
                DatagramHeader.isQUIC(firstByte: first)
            else {
                var single = envelope
                single.data = datagram
                single.metadata?.segmentSize = nil
                context.fireChannelRead(self.wrapInboundOut(single))
                continue
            }
            self.isReading = true
            self.receive(datagram, from: envelope.remoteAddress)
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        // Sessions accepted or touched by what delegates do here come with the next batch.
        let touched = self.touched
        self.touched.removeAll(keepingCapacity: true)
        for peer in touched {
            peer.isTouched = false
            peer.session.receiveComplete()
            self.noteHandshake(of: peer)
        }
        self.isReading = false
        context.flush()
        context.fireChannelReadComplete()
    }

    // MARK: Datagrams

    private func receive(_ datagram: ByteBuffer, from address: SocketAddress) {
        switch datagram.withUnsafeReadableBytes({ DatagramHeader($0) }) {
        case .packet(let destinationID, let isShort):
            if let peer = self.table.peers[destinationID] {
                guard peer.address == address else { return }
                self.deliver(datagram, to: peer)
            } else if isShort {
                self.resetUnknown(destinationID, datagram, from: address)
            } else {
                self.open(datagram, from: address)
            }
        case .unknownVersion(let destinationID, let sourceID):
            // RFC 9000 §6.1: only for datagrams large enough to be a client's first.
            guard datagram.readableBytes >= 1200, self.takeAnswer() else { return }
            self.send(
                StatelessAnswers(context: self.quic)
                    .versionNegotiation(destinationID: destinationID, sourceID: sourceID), to: address)
        case nil:
            break
        }
    }

    private func deliver(_ datagram: ByteBuffer, to peer: Peer) {
        peer.session.receive(datagram, segmentSize: nil)
        guard !peer.isTouched else { return }
        peer.isTouched = true
        self.touched.append(peer)
    }

    private func resetUnknown(_ id: ConnectionID, _ datagram: ByteBuffer, from address: SocketAddress) {
        guard self.takeAnswer() else { return }
        let reset = StatelessAnswers(context: self.quic).statelessReset(for: id, datagramLength: datagram.readableBytes)
        self.send(reset, to: address)
    }

    /// A packet for no connection: a client's first one, or nothing.
    private func open(_ datagram: ByteBuffer, from address: SocketAddress) {
        guard let context = self.context, self.sessions.count < self.limits.maxSessions,
            let first = datagram.withUnsafeReadableBytes({ InitialPacket($0) })
        else { return }
        let now = context.eventLoop.now
        let answers = StatelessAnswers(context: self.quic)
        guard let initial = answers.validated(first, from: address, at: now) else { return }
        if self.handshakes.count >= self.limits.retryAbove, !initial.answersRetry {
            return self.send(answers.retry(for: initial, from: address, at: now), to: address)
        }
        // Fails for want of memory only; the client tries again.
        guard let connection = try? QUICConnection.server(context: self.quic, initial: initial, at: now) else { return }
        let session = QUICSession(
            context: self.quic, connection: connection, eventLoop: context.eventLoop
        ) { [weak self] transmit in
            self?.send(transmit, to: address)
        }
        session.isPathWritable = context.channel.isWritable
        let peer = Peer(session: session, address: address)
        self.register(peer)
        self.accept(session, address)
        self.deliver(datagram, to: peer)
    }

    // MARK: The table

    private func register(_ peer: Peer) {
        let session = peer.session
        self.sessions[ObjectIdentifier(session)] = peer
        let evicted = self.handshakes.add(ObjectIdentifier(session), from: SourceNetwork(peer.address))
        session.endpoint = self
        session.reportConnectionIDs()
        if let evicted { self.sessions[evicted]?.session.abandon() }
    }

    func session(_ session: QUICSession, issued: [ConnectionID], retired: [ConnectionID]) {
        guard let peer = self.sessions[ObjectIdentifier(session)] else { return }
        peer.ids.formUnion(issued)
        peer.ids.subtract(retired)
        for id in issued { self.table.peers[id] = peer }
        for id in retired { self.table.peers[id] = nil }
    }

    func sessionTerminated(_ session: QUICSession) {
        guard let peer = self.sessions.removeValue(forKey: ObjectIdentifier(session)) else { return }
        for id in peer.ids { self.table.peers[id] = nil }
        self.endHandshake(of: peer)
    }

    private func noteHandshake(of peer: Peer) {
        if peer.session.isHandshakeComplete { self.endHandshake(of: peer) }
    }

    private func endHandshake(of peer: Peer) {
        guard peer.isShakingHands else { return }
        peer.isShakingHands = false
        self.handshakes.remove(ObjectIdentifier(peer.session))
    }

    // MARK: Sending

    private func takeAnswer() -> Bool {
        guard let context = self.context else { return false }
        return self.answers.take(at: context.eventLoop.now)
    }

    private func send(_ packet: ByteBuffer?, to address: SocketAddress) {
        guard let packet else { return }
        self.send(QUICTransmit(payload: packet, segmentSize: nil), to: address)
    }

    private func send(_ transmit: QUICTransmit, to address: SocketAddress) {
        guard let context = self.context else { return }
        transmit.forEachEnvelope(to: address) { context.write(self.wrapOutboundOut($0), promise: nil) }
        // During a read batch one flush at its end serves all sessions.
        if !self.isReading { context.flush() }
    }
}

@available(*, unavailable)
extension QUICServerHandler: Sendable {}
