import AppProto
import DequeModule
import NIOCore
import QUIC
import TLS

/// Hears what happens to a tunnel, on its event loop. Never called from inside a call to the tunnel.
protocol QUICTunnelDelegate: AnyObject {
    /// Both sides are authenticated.
    func tunnelConnected(_ tunnel: QUICTunnel)
    /// The client wants a TCP connection.
    func tunnel(_ tunnel: QUICTunnel, requested request: TunnelRequest)
    /// The tunnel is over. Its streams have been told. The last call.
    func tunnel(_ tunnel: QUICTunnel, closed reason: QUICCloseReason)
}

/// The encrypted tunnel: a QUIC connection whose ends accept exactly each other's certificate, ALPN `rtun-tunnel/1`.
///
/// Every bidirectional stream of the client is one TCP connection. The network below is opaque: datagrams come in by
/// `receive` and leave by the closure given.
final class QUICTunnel {
    enum Side {
        /// Opens streams.
        case client
        /// Accepts streams.
        case agent
    }

    static let applicationProtocol = "rtun-tunnel/1"
    /// Silence with packets outstanding that makes a tunnel suspect.
    static let suspicionDelay = TimeAmount.seconds(2)

    weak var delegate: (any QUICTunnelDelegate)?
    /// Streams that are not over yet, of either direction.
    private(set) var openStreams = 0

    private let session: QUICSession
    private let eventLoop: any EventLoop
    private var hasReceived = false
    /// Openings for which the agent allows no stream yet, in the order of their coming. Callers bound their number:
    /// rtun-socks by `--max-connections`.
    private var waiting: Deque<TunnelOpening> = []

    /// Starts at once on the client's side; the agent's waits for the client.
    ///
    /// - Parameter peer: the only certificate that is accepted.
    /// - Throws: `QUICError` when the certificate of ours cannot be used.
    init(
        side: Side, peer: CertificateFingerprint, configuration: PeerChannelConfiguration, eventLoop: any EventLoop,
        transmit: @escaping (QUICTransmit) -> Void
    ) throws {
        var quic = QUICConfiguration(
            applicationProtocol: Self.applicationProtocol, identity: configuration.identity,
            verification: .fingerprint(peer))
        quic.maxIdleTimeout = configuration.idleTimeout
        // At least three tries before the idle timeout; ICE's consent checks keep the mappings on the path open anyway.
        quic.keepAliveInterval = min(
            configuration.keepAliveInterval, .nanoseconds(configuration.idleTimeout.nanoseconds / 3))
        quic.maxStreamWindow = configuration.maxStreamWindow
        quic.maxUnconsumedBytes = configuration.maxUnconsumedBytes
        self.eventLoop = eventLoop
        switch side {
        case .client:
            quic.maxConcurrentStreams = 0
            self.session = try QUICSession.client(configuration: quic, eventLoop: eventLoop, transmit: transmit)
        case .agent:
            quic.maxConcurrentStreams = configuration.maxConcurrentStreams
            self.session = try QUICSession.server(configuration: quic, eventLoop: eventLoop, transmit: transmit)
        }
        self.session.delegate = self
    }

    // MARK: Datagrams

    /// Takes one datagram, or with `segmentSize` several. `receiveComplete` ends the batch.
    func receive(_ bytes: ByteBuffer, segmentSize: Int?) {
        self.hasReceived = true
        self.session.receive(bytes, segmentSize: segmentSize)
    }

    /// The batch is over.
    func receiveComplete() {
        guard self.hasReceived else { return }
        self.hasReceived = false
        self.session.receiveComplete()
    }

    /// Set to false while the path takes no more datagrams.
    var isPathWritable: Bool {
        get { self.session.isPathWritable }
        set { self.session.isPathWritable = newValue }
    }

    // MARK: Streams

    /// Asks the agent for a connection; when it allows no further stream now, as soon as it does. Completes exactly once
    /// unless it is cancelled, never before it returns.
    func open(
        _ target: OpenTcp, timeout: TimeAmount, completion: @escaping TunnelOpening.Completion
    ) -> TunnelOpening {
        guard 1...AppProtoLimits.name ~= target.host.utf8.count, target.port > 0 else {
            return TunnelOpening(failing: .invalidTarget, eventLoop: self.eventLoop, completion: completion)
        }
        guard self.isConnected else {
            return TunnelOpening(failing: .notConnected, eventLoop: self.eventLoop, completion: completion)
        }
        let opening = TunnelOpening(
            target, timeout: timeout, eventLoop: self.eventLoop, completion: completion
        ) { [weak self] opening in
            self?.waiting.removeAll { $0 === opening }
        }
        self.waiting.append(opening)
        self.startWaiting()
        return opening
    }

    /// Gives streams to those who wait for one, for as long as the agent allows any.
    private func startWaiting() {
        while !self.waiting.isEmpty, self.session.availableStreams > 0, let stream = try? self.session.openStream() {
            let opening = self.waiting.removeFirst()
            self.openStreams += 1
            opening.start(on: stream) { [weak self] in self?.openStreams -= 1 }
        }
    }

    // MARK: Health

    /// Whether both sides are authenticated and the tunnel is not over.
    var isConnected: Bool { self.session.isHandshakeComplete && !self.session.isClosed }
    /// Whether the tunnel is over.
    var isClosed: Bool { self.session.isClosed }
    /// As QUIC measures it.
    var roundTripTime: TimeAmount { self.session.smoothedRTT }
    /// Since when packets wait for any sign of life; nil when none does.
    var unansweredSince: NIODeadline? { self.session.unansweredSince }

    /// Whether packets have been outstanding for at least 2 s with nothing heard.
    var isSuspect: Bool {
        self.session.unansweredSince.map { self.eventLoop.now - $0 >= Self.suspicionDelay } ?? false
    }

    /// Ends the tunnel; the peer sees code and reason. The delegate hears `closed`.
    func close(_ code: TunnelErrorCode, reason: String) {
        self.session.close(code: code.rawValue, reason: reason)
    }
}

@available(*, unavailable)
extension QUICTunnel: Sendable {}

extension QUICTunnel: QUICSessionDelegate {
    func sessionHandshakeCompleted(_ session: QUICSession) {
        self.delegate?.tunnelConnected(self)
    }

    func session(_ session: QUICSession, streamOpened stream: QUICStream) {
        self.openStreams += 1
        _ = TunnelReception(stream, eventLoop: self.eventLoop) { [weak self] request in
            guard let self, let delegate = self.delegate else {
                return request.refuse(.failed, reason: "the agent is closing")
            }
            delegate.tunnel(self, requested: request)
        } closed: { [weak self] in
            self?.openStreams -= 1
        }
    }

    func sessionStreamsAvailable(_ session: QUICSession) {
        self.startWaiting()
    }

    func session(_ session: QUICSession, closed reason: QUICCloseReason) {
        let waiting = self.waiting
        self.waiting = []
        for opening in waiting { opening.tunnelClosed() }
        self.delegate?.tunnel(self, closed: reason)
    }
}
