package import AppProto
import DequeModule
package import NIOCore
package import PeerChannel
package import QUIC
import TLS

/// The encrypted tunnel: a QUIC connection whose ends accept exactly each other's certificate, ALPN `rtun-tunnel/1`.
///
/// Every bidirectional stream of the client is one TCP connection, or a UDP association, whose datagrams travel in DATAGRAM
/// frames (RFC 9221). The network below is opaque: datagrams come in by
/// `receive` and leave by the path given. The client opens streams, the agent accepts them.
package final class QUICTunnel: PeerCarrier {
    static let applicationProtocol = "rtun-tunnel/1"

    package weak var carrierDelegate: (any PeerCarrierDelegate)?
    /// The client wants a TCP connection: answer with `request.accept` or `request.refuse`, now or later. Agents set it;
    /// never called from inside a call to the tunnel.
    package var requested: ((TunnelRequest) -> Void)?
    /// The client wants a UDP association: nil takes it, and it can be used from then on; otherwise why not. Agents set it;
    /// never called from inside a call to the tunnel.
    package var associationRequested: ((TunnelAssociation) -> TunnelRefusal?)?
    /// Streams that are not over yet, of either direction.
    package private(set) var openStreams = 0

    /// How many streams the agent allows at once, as far as it has told: at the client, and less than that for moments.
    package var streamCapacity: Int { self.openStreams + self.session.availableStreams }

    let session: QUICSession
    private let datagrams: TunnelDatagrams
    private let eventLoop: any EventLoop
    private let path: any DatagramPath
    private var hasReceived = false
    private let silence = SilenceWatch()
    /// Openings for which the agent allows no stream yet, in the order of their coming. Callers bound their number:
    /// rtun-socks by `--max-connections`, rtun-relay by `--max-flows`.
    private var waiting: Deque<TunnelOpening> = []

    /// Starts at once on the client's side; the agent's waits for the client.
    ///
    /// - Throws: `QUICError` when the certificate of ours cannot be used.
    package convenience init(_ context: PeerCarrierContext) throws {
        try self.init(context, takesDatagrams: true)
    }

    /// - Parameter takesDatagrams: false for an end such as older versions are, which know no UDP associations.
    init(_ context: PeerCarrierContext, takesDatagrams: Bool) throws {
        let configuration = context.configuration
        var quic = QUICConfiguration(
            applicationProtocol: Self.applicationProtocol, identity: configuration.identity,
            verification: .fingerprint(context.peerFingerprint))
        quic.maxIdleTimeout = configuration.idleTimeout
        // At least three tries before the idle timeout; ICE's consent checks keep the mappings on the path open anyway.
        quic.keepAliveInterval = min(
            configuration.keepAliveInterval, .nanoseconds(configuration.idleTimeout.nanoseconds / 3))
        quic.congestionControl = configuration.congestionControl
        quic.maxStreamWindow = configuration.maxStreamWindow
        quic.maxUnconsumedBytes = configuration.maxUnconsumedBytes
        // What the path carries, and which path that is, is known below.
        quic.discoversPathMTU = false
        quic.allowsMigration = true
        quic.datagrams = takesDatagrams
        self.eventLoop = context.eventLoop
        self.path = context.path
        let (path, silence) = (context.path, self.silence)
        // What is lost on this machine, QUIC sends again.
        let transmit = { (transmit: QUICTransmit) -> Void in
            path.send(transmit.payload, segmentSize: transmit.segmentSize)
            silence.sent()
        }
        switch context.side {
        case .client:
            quic.maxConcurrentStreams = 0
            self.session = try QUICSession.client(
                configuration: quic, eventLoop: context.eventLoop, transmit: transmit)
        case .agent:
            quic.maxConcurrentStreams = configuration.maxConcurrentStreams
            self.session = try QUICSession.server(
                configuration: quic, eventLoop: context.eventLoop, transmit: transmit)
        }
        self.datagrams = TunnelDatagrams(self.session)
        self.silence.session = self.session
        self.silence.changed = { [unowned self] in self.carrierDelegate?.carrierSuspicionChanged($0) }
        self.session.delegate = self
        self.session.maximumDatagramSize = path.preferredDatagramSize
    }

    // MARK: Datagrams

    /// Takes one datagram, or with `segmentSize` several. `receiveComplete` ends the batch.
    package func receive(_ bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {
        self.hasReceived = true
        self.session.receive(bytes, segmentSize: segmentSize, on: arrival)
    }

    /// The batch is over.
    package func receiveComplete() {
        guard self.hasReceived else { return }
        self.hasReceived = false
        self.session.receiveComplete()
        self.silence.received()
    }

    /// While the path takes no more datagrams, what there is to send stays in the streams.
    package func pathWritabilityChanged(_ isWritable: Bool) {
        self.session.isPathWritable = isWritable
    }

    /// Congestion control starts anew.
    package func pathChanged() {
        self.pathLimitChanged()
        self.session.pathChanged()
    }

    package func pathLimitChanged() {
        self.session.maximumDatagramSize = self.path.preferredDatagramSize
    }

    // MARK: Streams

    /// Opens a TCP connection from the agent to `target`; when the agent allows no further stream now, as soon as it does.
    /// Completes exactly once unless it is cancelled, on the event loop, never before it returns.
    ///
    /// - Parameter timeout: how long to wait for the agent's answer.
    /// - Returns: a handle to give up waiting.
    @discardableResult
    package func open(
        _ target: OpenTcp, timeout: TimeAmount,
        completion: @escaping (Result<TunnelStream, TunnelOpenError>) -> Void
    ) -> TunnelOpening {
        guard 1...AppProtoLimits.name ~= target.host.utf8.count, target.port > 0 else {
            return TunnelOpening(failing: .invalidTarget, eventLoop: self.eventLoop, completion: completion)
        }
        return self.open(.tcp(target), timeout: timeout, completion: completion)
    }

    /// Opens a UDP association at the agent, in the same manner. Fails with `.noDatagrams` where the agent knows none.
    @discardableResult
    package func openAssociation(
        timeout: TimeAmount, completion: @escaping (Result<TunnelAssociation, TunnelOpenError>) -> Void
    ) -> TunnelOpening {
        let completion = { [datagrams] (result: Result<TunnelStream, TunnelOpenError>) in
            completion(result.map { datagrams.open(on: $0) })
        }
        guard !self.isConnected || self.session.maxDatagramPayload > 0 else {
            return TunnelOpening(failing: .noDatagrams, eventLoop: self.eventLoop, completion: completion)
        }
        return self.open(.udpAssociation, timeout: timeout, completion: completion)
    }

    private func open(
        _ wish: StreamOpening, timeout: TimeAmount,
        completion: @escaping (Result<TunnelStream, TunnelOpenError>) -> Void
    ) -> TunnelOpening {
        guard self.isConnected else {
            return TunnelOpening(failing: .notConnected, eventLoop: self.eventLoop, completion: completion)
        }
        let opening = TunnelOpening(
            wish, timeout: timeout, eventLoop: self.eventLoop, completion: completion
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
    package var isConnected: Bool { self.session.isHandshakeComplete && !self.session.isClosed }
    /// Whether the tunnel is over.
    package var isClosed: Bool { self.session.isClosed }
    /// As QUIC measures it.
    package var roundTripTime: TimeAmount? { self.session.measuredRTT }

    /// What became of the datagrams of its UDP associations.
    package var datagramStatistics: TunnelDatagramStatistics { self.datagrams.statistics }

    /// Whether packets have waited for any sign of life for too long, as the delegate hears of each change.
    package var isSuspect: Bool { self.silence.isSilent }

    /// Ends the tunnel: streams are reset, the peer sees the reason.
    package func close(saying words: String) {
        self.session.close(code: TunnelErrorCode.shutdown.rawValue, reason: words)
    }
}

@available(*, unavailable)
extension QUICTunnel: Sendable {}

extension QUICTunnel: QUICSessionDelegate {
    package func sessionHandshakeCompleted(_ session: QUICSession) {
        self.carrierDelegate?.carrierConnected()
    }

    package func session(_ session: QUICSession, streamOpened stream: QUICStream) {
        self.openStreams += 1
        _ = TunnelReception(stream, eventLoop: self.eventLoop) { [weak self] opening, stream in
            guard let self else { return stream.refuse(.failed, reason: "the agent is closing") }
            self.opened(stream, for: opening)
        } closed: { [weak self] in
            self?.openStreams -= 1
        }
    }

    private func opened(_ stream: TunnelStream, for opening: StreamOpening) {
        switch opening {
        case .tcp(let target):
            let request = TunnelRequest(target: target, stream: stream)
            guard let requested = self.requested else { return request.refuse(.failed, reason: "the agent is closing") }
            requested(request)
        case .udpAssociation:
            self.datagrams.accept(stream, self.associationRequested)
        }
    }

    package func session(_ session: QUICSession, datagramReceived datagram: ByteBuffer) {
        self.datagrams.receive(datagram)
    }

    package func sessionDatagramsWritable(_ session: QUICSession) {
        self.datagrams.sendWaiting()
    }

    package func sessionStreamsAvailable(_ session: QUICSession) {
        self.startWaiting()
    }

    package func session(_ session: QUICSession, closed reason: QUICCloseReason) {
        self.silence.stop()
        self.datagrams.stop()
        let waiting = self.waiting
        self.waiting = []
        for opening in waiting { opening.tunnelClosed() }
        switch reason {
        case .peer(_, let words): self.carrierDelegate?.carrierClosed(.closedByPeer(reason: words))
        default: self.carrierDelegate?.carrierClosed(.tunnel(reason))
        }
    }
}
