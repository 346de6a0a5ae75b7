import NIOCore
import UDP
import UDPRelay

/// What a flow tells its relay, on its event loop.
protocol EgressFlowDelegate: AnyObject {
    /// The target has answered. The payload shares memory that is used again.
    func flow(_ flow: EgressFlow, received payload: ByteBuffer)
    /// The end of a batch.
    func flowReceiveComplete(_ flow: EgressFlow)
    /// Datagrams to the target did not leave.
    func flow(_ flow: EgressFlow, notSent count: Int)
    /// No socket could be opened. The last call.
    func flow(_ flow: EgressFlow, failed error: any Error)
}

/// One flow at the agent: a connected UDP socket of its own, so that the target sees a sender of its own and only the
/// target's datagrams come back. Belongs to the relay's event loop.
///
/// ICMP errors are counted and change nothing. NIO closes a socket over some of them; then another one takes its place,
/// on the same local port.
final class EgressFlow {
    private enum State {
        case opening
        case open(UDPSocket)
        case closed
    }

    /// A socket is there within microseconds: what comes in between is a burst, not a stream.
    private static let maximumWaiting = 64

    let id: FlowID
    /// The relay's note that it has to call ``flush()``.
    var needsFlush = false
    private let target: SocketAddress
    private let eventLoop: any EventLoop
    private weak var delegate: (any EgressFlowDelegate)?
    private var state = State.opening
    /// Datagrams that wait for the socket; at most ``maximumWaiting``.
    private var waiting: [ByteBuffer] = []
    private var run = DatagramRun()
    /// Errors of sockets that are gone.
    private var earlierErrors: UInt64 = 0

    init(id: FlowID, target: SocketAddress, eventLoop: any EventLoop, delegate: any EgressFlowDelegate) {
        self.id = id
        self.target = target
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    /// Opens the socket. Call once; the delegate may hear of a failure before this returns.
    func open() {
        self.openSocket(port: 0)
    }

    /// Errors that the network has reported.
    var reportedErrors: UInt64 {
        if case .open(let socket) = self.state {
            self.earlierErrors + socket.reportedErrors
        } else {
            self.earlierErrors
        }
    }

    /// Sends a datagram to the target, at the latest with ``flush()``; a copy is made where it has to wait.
    func send(_ payload: ByteBuffer) {
        switch self.state {
        case .opening:
            guard self.waiting.count < Self.maximumWaiting else {
                self.delegate?.flow(self, notSent: 1)
                return
            }
            // The bytes would be overwritten.
            self.waiting.append(ByteBuffer(bytes: payload.readableBytesView))
        case .open(let socket):
            if !self.run.accepts(payload.readableBytes) { self.sendRun(on: socket) }
            self.run.append(payload)
        case .closed: break
        }
    }

    /// Sends what waits for company.
    func flush() {
        self.needsFlush = false
        if case .open(let socket) = self.state { self.sendRun(on: socket) }
    }

    /// Closes the socket; the delegate hears nothing more.
    func close() {
        if case .open(let socket) = self.state { socket.close() }
        self.state = .closed
    }

    private func sendRun(on socket: UDPSocket) {
        let count = self.run.count
        self.run.send { bytes, segmentSize in
            switch socket.send(bytes, segmentSize: segmentSize, to: nil) {
            case .sent: break
            case .dropped, .refused: self.delegate?.flow(self, notSent: count)
            }
        }
    }

    private func openSocket(port: Int) {
        UDPSocket.connect(to: self.target, fromPort: port, options: .flow, eventLoop: self.eventLoop)
            .assumeIsolated().whenComplete { result in
                guard case .opening = self.state else {
                    if case .success(let socket) = result { socket.value.close() }
                    return
                }
                switch result {
                case .success(let socket): self.opened(socket.value)
                // Somebody else has the port by now.
                case .failure where port != 0: self.openSocket(port: 0)
                case .failure(let error):
                    self.state = .closed
                    self.delegate?.flow(self, failed: error)
                }
            }
    }

    private func opened(_ socket: UDPSocket) {
        self.state = .open(socket)
        socket.delegate = self
        let waiting = self.waiting
        self.waiting = []
        for payload in waiting { self.send(payload) }
        self.flush()
    }
}

@available(*, unavailable)
extension EgressFlow: Sendable {}

extension EgressFlow: UDPSocketDelegate {
    func socket(_ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress) {
        guard let delegate = self.delegate else { return }
        for payload in DatagramSegments(bytes, size: segmentSize) {
            delegate.flow(self, received: payload)
        }
    }

    func socketReceiveComplete(_ socket: UDPSocket) {
        self.delegate?.flowReceiveComplete(self)
    }

    func socketWritabilityChanged(_ socket: UDPSocket) {}

    func socketFailed(_ socket: UDPSocket, error: (any Error)?) {
        guard case .open(let current) = self.state, current === socket else { return }
        self.earlierErrors += socket.reportedErrors
        self.state = .opening
        self.openSocket(port: socket.localAddress.port ?? 0)
    }
}
