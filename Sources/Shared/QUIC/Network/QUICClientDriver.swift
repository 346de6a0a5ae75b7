import NIOCore
import UDP

/// Moves datagrams between one session and its connected UDP socket, which it closes when the session is over. Belongs to
/// the session's event loop, and keeps itself alive until then.
final class QUICClientDriver {
    private let remoteAddress: SocketAddress
    private let eventLoop: any EventLoop
    private let socket: ConnectedUDPSocket
    /// Completed once: with the connection, or with why there is none.
    private var connected: EventLoopPromise<NIOLoopBound<QUICClientConnection>>?
    private var session: QUICSession?
    /// Keeps this alive until the session is over.
    private var running: QUICClientDriver?

    /// Opens the socket and begins the handshake. Throws `IOError` or `QUICError`; `connected` is not completed then.
    init(
        context: QUICContext, remoteAddress: SocketAddress, eventLoop: any EventLoop,
        connected: EventLoopPromise<NIOLoopBound<QUICClientConnection>>
    ) throws {
        self.socket = try ConnectedUDPSocket(
            to: remoteAddress, receivesSegments: true, poller: try UDPPoller.shared(by: eventLoop))
        self.remoteAddress = remoteAddress
        self.eventLoop = eventLoop
        self.connected = connected
        do {
            let session = try QUICSession.client(context: context, eventLoop: eventLoop) { [weak self] transmit in
                // What is lost on this machine, QUIC sends again.
                guard !transmit.mayOffload else {
                    _ = self?.socket.send(transmit.payload, segmentSize: transmit.segmentSize)
                    return
                }
                for datagram in DatagramSegments(transmit.payload, size: transmit.segmentSize) {
                    _ = self?.socket.send(datagram, segmentSize: nil)
                }
            }
            session.endpoint = self
            session.delegate = self
            self.session = session
        } catch {
            self.socket.close()
            throw error
        }
        self.socket.delegate = self
        self.running = self
    }

    private func fail(_ error: any Error) {
        self.connected?.fail(error)
        self.connected = nil
    }
}

@available(*, unavailable)
extension QUICClientDriver: Sendable {}

extension QUICClientDriver: QUICSessionEndpoint {
    func sessionTerminated(_ session: QUICSession) {
        self.socket.close()
        self.session = nil
        self.running = nil
    }
}

/// The first delegate, until whoever has asked for the connection puts another one in its place.
extension QUICClientDriver: QUICSessionDelegate {
    func sessionHandshakeCompleted(_ session: QUICSession) {
        let connection = QUICClientConnection(
            session: session, localAddress: self.socket.localAddress, remoteAddress: self.remoteAddress)
        self.connected?.succeed(NIOLoopBound(connection, eventLoop: self.eventLoop))
        self.connected = nil
        if session.delegate !== self { session.delegate?.sessionHandshakeCompleted(session) }
    }

    /// The server opens no streams to one that hears of none.
    func session(_ session: QUICSession, streamOpened stream: QUICStream) {}

    func session(_ session: QUICSession, closed reason: QUICCloseReason) {
        self.fail(reason)
    }
}

extension QUICClientDriver: ConnectedUDPSocketDelegate {
    func socket(_ socket: ConnectedUDPSocket, received payload: ByteBuffer, segmentSize: Int?) {
        // The session may keep it until the end of the batch, and the memory is used again.
        self.session?.receive(ByteBuffer(bytes: payload.readableBytesView), segmentSize: segmentSize)
    }

    func socketReceiveComplete(_ socket: ConnectedUDPSocket) {
        self.session?.receiveComplete()
    }

    /// Before the handshake an ICMP error says that nobody is there. Later it may be one router's mood, or forged; QUIC's
    /// own timers decide then.
    func socket(_ socket: ConnectedUDPSocket, reported error: IOError) {
        guard self.connected != nil else { return }
        // The session may be in the middle of sending.
        self.eventLoop.assumeIsolated().execute {
            guard self.connected != nil else { return }
            self.fail(error)
            self.session?.close(code: 0, reason: "")
        }
    }
}
