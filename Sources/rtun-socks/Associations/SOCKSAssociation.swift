import Basics
import FlowLedger
import NIOCore
import SOCKS
import TunnelClient
import UDP
import UDPAssociation

/// A SOCKS client's UDP association (RFC 1928 §7): a UDP relay of its own on this machine, and the way from there to an agent
/// and back. Belongs to the event loop of the client's connection, whose handler keeps it.
final class SOCKSAssociation {
    /// What the client's connection hears.
    enum Event {
        /// The relay is at `address`, and there is an agent.
        case started(at: SocketAddress)
        /// There is no association.
        case failed(SOCKSOutcome, reason: String)
        /// It has been, and is over.
        case ended(reason: String)
    }

    private enum State {
        /// Waits for the socket, or for an agent.
        case starting(socket: UDPSocket?, hasAgent: Bool)
        case started(UDPSocket)
        case ended
    }

    /// Called on the event loop, never from inside a call to this. Nothing follows `failed` and `ended`.
    var happened: ((Event) -> Void)?

    private var state = State.starting(socket: nil, hasAgent: false)
    private var client: AssociationClient
    /// Where the client's datagrams come from, once one has.
    private var source: SocketAddress?
    private var association: PooledAssociation?
    private let drops: DatagramDrops
    /// On their way to the client.
    private var run = DatagramRun(keptCapacity: 4096)

    init(_ client: AssociationClient, drops: DatagramDrops) {
        self.client = client
        self.drops = drops
    }

    /// Opens the relay, and looks for an agent. False when the connector has no associations.
    func start(by connector: any TargetConnector, for origin: FlowOrigin, on eventLoop: any EventLoop) -> Bool {
        guard let association = connector.associate(for: origin, delegate: self) else { return false }
        self.association = association
        let opened = UDPSocket.bind(to: self.client.relay, options: .associationClient, eventLoop: eventLoop)
        opened.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let socket): self.opened(socket.value)
            case .failure(let error): self.fail(.failed, "cannot open a UDP socket for the client: \(error)")
            }
        }
        return true
    }

    /// The client's connection is over.
    func close() {
        self.happened = nil
        self.release()
    }

    private func opened(_ socket: UDPSocket) {
        guard case .starting(_, let hasAgent) = self.state else { return socket.close() }
        socket.delegate = self
        self.state = .starting(socket: socket, hasAgent: hasAgent)
        self.startIfReady()
    }

    private func startIfReady() {
        guard case .starting(let socket?, true) = self.state else { return }
        self.state = .started(socket)
        self.happened?(.started(at: socket.localAddress))
    }

    private func fail(_ outcome: SOCKSOutcome, _ reason: String) {
        let happened = self.happened
        self.happened = nil
        let hadStarted = if case .started = self.state { true } else { false }
        if case .ended = self.state { return }
        self.release()
        happened?(hadStarted ? .ended(reason: reason) : .failed(outcome, reason: reason))
    }

    private func release() {
        switch self.state {
        case .starting(let socket, _): socket?.close()
        case .started(let socket): socket.close()
        case .ended: return
        }
        self.state = .ended
        self.association?.close()
        self.association = nil
    }
}

@available(*, unavailable)
extension SOCKSAssociation: Sendable {}

// MARK: - From the client

extension SOCKSAssociation: UDPSocketDelegate {
    func socket(
        _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
        at local: SocketAddress?
    ) {
        guard case .started = self.state else { return }
        guard self.client.isSource(source) else {
            return self.drops.dropped(.foreign, ["from": "\(source.authority)"])
        }
        let datagram: SOCKSDatagram
        do {
            datagram = try SOCKSDatagram(decoding: bytes)
        } catch {
            return self.drops.dropped(error == .fragment ? .fragment : .malformed, ["client": "\(source.authority)"])
        }
        if self.source == nil {
            self.client.settle(source)
            self.source = source
        }
        guard self.association?.send(datagram.payload, to: datagram.endpoint) ?? true else {
            return self.drops.dropped(
                .oversize,
                [
                    "client": "\(source.authority)", "target": "\(datagram.endpoint)",
                    "limit": .stringConvertible(AssociationLimits.payload),
                ])
        }
    }

    func socketReceiveComplete(_ socket: UDPSocket) {}
    func socketWritabilityChanged(_ socket: UDPSocket) {}

    func socketFailed(_ socket: UDPSocket, error: (any Error)?) {
        self.fail(.failed, "the client's UDP socket is gone\(error.map { ": \($0)" } ?? "")")
    }
}

// MARK: - To the client

extension SOCKSAssociation: PooledAssociationDelegate {
    func associationStarted(_ association: PooledAssociation) {
        guard case .starting(let socket, _) = self.state else { return }
        self.state = .starting(socket: socket, hasAgent: true)
        self.startIfReady()
    }

    func association(_ association: PooledAssociation, received payload: ByteBuffer, from endpoint: Endpoint) {
        guard case .started(let socket) = self.state, let source = self.source else { return }
        let datagram = SOCKSDatagram(endpoint: endpoint, payload: payload)
        let length = datagram.encodedLength
        if !self.run.accepts(length) { self.flush(socket, to: source) }
        self.run.append(length: length) { buffer in
            datagram.write(into: &buffer)
            return true
        }
    }

    func associationReceiveComplete(_ association: PooledAssociation) {
        if case .started(let socket) = self.state, let source = self.source { self.flush(socket, to: source) }
    }

    private func flush(_ socket: UDPSocket, to source: SocketAddress) {
        let count = self.run.count
        self.run.send { bytes, segmentSize in
            guard socket.send(bytes, segmentSize: segmentSize, to: source) != .sent else { return }
            self.drops.dropped(.notSent, count: count, ["client": "\(source.authority)"])
        }
    }

    func association(_ association: PooledAssociation, ended: PooledAssociation.End) {
        switch ended {
        case .unsupported: self.fail(.unsupported, "the agent's version carries no UDP")
        case .failed(let failure): self.fail(SOCKSOutcome(failure.kind), failure.reason)
        case .closedByAgent: self.fail(.failed, "the agent has ended the association")
        }
    }
}
