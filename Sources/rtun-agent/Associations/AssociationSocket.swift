import Basics
import NIOCore
import UDP
import UDPAssociation

/// One of a UDP association's sockets, which has them for one family of addresses.
struct AssociationSocketKey: Hashable {
    let association: AssociationID
    let family: IPAddress.Family
}

/// What a socket tells its association, on its event loop.
protocol AssociationSocketDelegate: AnyObject {
    /// Somebody has sent a datagram. The payload shares memory.
    func socket(_ socket: AssociationSocket, received payload: ByteBuffer, from source: SocketAddress)
    /// There is no socket, or none any more. The last call.
    func socket(_ socket: AssociationSocket, failed error: (any Error)?)
}

/// One UDP socket of an association at the agent: whoever it sends to sees the same address and port, and whoever sends there
/// is heard (endpoint-independent mapping and filtering, RFC 4787 §4.1 and §5). Belongs to the tunnel's event loop.
///
/// It may be used at once; what is sent before it is open waits.
final class AssociationSocket {
    private enum State {
        case opening([(payload: ByteBuffer, destination: SocketAddress)])
        case open(UDPSocket)
        case closed
    }

    /// Datagrams that may wait for the socket, which takes no time to speak of.
    private static let maximumWaiting = 32

    let key: AssociationSocketKey
    /// Its association's note that it has to call ``flush()``.
    var needsFlush = false
    private weak var delegate: (any AssociationSocketDelegate)?
    private var state = State.opening([])
    private var run = DatagramRun(keptCapacity: 2048)
    private var destination: SocketAddress?

    init(_ key: AssociationSocketKey, delegate: any AssociationSocketDelegate) {
        self.key = key
        self.delegate = delegate
    }

    /// Opens the socket on a port of the kernel's choosing.
    func open(on eventLoop: any EventLoop) {
        let any = IPAddress(family: self.key.family, bits: 0)
        guard let address = any.socketAddress(port: 0) else { return }
        let opened = UDPSocket.bind(to: address, options: .associationTarget, eventLoop: eventLoop)
        opened.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let socket): self.opened(socket.value)
            case .failure(let error): self.failed(error)
            }
        }
    }

    private func opened(_ socket: UDPSocket) {
        guard case .opening(let waiting) = self.state else { return socket.close() }
        socket.delegate = self
        self.state = .open(socket)
        for datagram in waiting { _ = self.send(datagram.payload, to: datagram.destination) }
        _ = self.flush()
    }

    private func failed(_ error: (any Error)?) {
        if case .closed = self.state { return }
        self.state = .closed
        self.delegate?.socket(self, failed: error)
    }

    /// Sends a datagram, at the latest with ``flush()``; returns how many have been lost on this machine.
    func send(_ payload: ByteBuffer, to destination: SocketAddress) -> Int {
        switch self.state {
        case .opening(let waiting):
            guard waiting.count < Self.maximumWaiting else { return 1 }
            self.state = .opening(waiting + [(payload, destination)])
            return 0
        case .open(let socket):
            var lost = 0
            if destination != self.destination || !self.run.accepts(payload.readableBytes) {
                lost = self.sendRun(by: socket)
                self.destination = destination
            }
            self.run.append(payload)
            return lost
        case .closed:
            return 1
        }
    }

    /// Sends what waits for company; returns how many datagrams have been lost on this machine.
    func flush() -> Int {
        self.needsFlush = false
        guard case .open(let socket) = self.state else { return 0 }
        return self.sendRun(by: socket)
    }

    /// Closes the socket; the delegate hears nothing more.
    func close() {
        if case .open(let socket) = self.state { socket.close() }
        self.state = .closed
    }

    private func sendRun(by socket: UDPSocket) -> Int {
        guard let destination = self.destination else { return 0 }
        var lost = 0
        let count = self.run.count
        self.run.send { bytes, segmentSize in
            if socket.send(bytes, segmentSize: segmentSize, to: destination) != .sent { lost = count }
        }
        return lost
    }
}

@available(*, unavailable)
extension AssociationSocket: Sendable {}

extension AssociationSocket: UDPSocketDelegate {
    func socket(
        _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
        at local: SocketAddress?
    ) {
        for payload in DatagramSegments(bytes, size: segmentSize) {
            self.delegate?.socket(self, received: payload, from: source)
        }
    }

    func socketReceiveComplete(_ socket: UDPSocket) {}
    func socketWritabilityChanged(_ socket: UDPSocket) {}
    func socketFailed(_ socket: UDPSocket, error: (any Error)?) { self.failed(error) }
}
