import FlowLedger
import HostNetwork
import NIOCore
import UDP
import UDPRelay

/// What a flow tells its relay, on its event loop.
protocol EgressFlowDelegate: AnyObject {
    /// The target has answered. The payload shares memory that is used again.
    func flow(_ flow: EgressFlow, received payload: ByteBuffer)
    /// The end of a batch.
    func flowReceiveComplete(_ flow: EgressFlow)
}

/// One flow at the agent: a connected UDP socket of its own, so that the target sees a sender of its own and only the
/// target's datagrams come back. Belongs to the relay's event loop.
///
/// ICMP errors are counted and change nothing.
final class EgressFlow {
    let id: FlowID
    let openedAt: NIODeadline
    /// What has passed, in bytes of payload.
    var traffic = FlowTraffic()
    /// The relay's note that it has to call ``flush()``.
    var needsFlush = false
    private let target: SocketAddress
    private let poller: UDPPoller
    private var socket: ConnectedUDPSocket
    /// Errors that the network reported to sockets before this one.
    private var earlierErrors: UInt64 = 0
    private weak var delegate: (any EgressFlowDelegate)?
    /// There may be thousands of flows: what a burst took is not kept.
    private var run = DatagramRun(keptCapacity: 2048)

    /// Opens the socket. Throws `IOError`.
    init(
        id: FlowID, target: SocketAddress, poller: UDPPoller, delegate: any EgressFlowDelegate, at now: NIODeadline
    ) throws(IOError) {
        self.id = id
        self.openedAt = now
        self.target = target
        self.poller = poller
        self.delegate = delegate
        self.socket = try ConnectedUDPSocket(to: target, poller: poller)
        self.socket.delegate = self
    }

    /// Errors that the network has reported.
    var reportedErrors: UInt64 { self.earlierErrors + self.socket.reportedErrors }
    /// Where its datagrams come from; nil when it is closed.
    var localAddress: SocketAddress? { self.socket.localAddress }

    /// Makes the socket anew, because this machine has lost the address of the one that there is: datagrams leave from
    /// another address and port then. Throws `IOError` when that cannot be, and leaves things as they are.
    func reopen() throws(IOError) {
        let socket = try ConnectedUDPSocket(to: self.target, poller: self.poller)
        self.earlierErrors += self.socket.reportedErrors
        self.socket.close()
        self.socket = socket
        socket.delegate = self
    }

    /// Sends a datagram to the target, at the latest with ``flush()``; returns how many have been lost on this machine.
    func send(_ payload: ByteBuffer) -> Int {
        let lost = self.run.accepts(payload.readableBytes) ? 0 : self.sendRun()
        self.run.append(payload)
        return lost
    }

    /// Sends what waits for company; returns how many have been lost on this machine.
    func flush() -> Int {
        self.needsFlush = false
        return self.sendRun()
    }

    /// Closes the socket; the delegate hears nothing more.
    func close() {
        self.socket.close()
    }

    private func sendRun() -> Int {
        var lost = 0
        self.run.send { bytes, segmentSize in
            lost = self.socket.send(bytes, segmentSize: segmentSize)
            // What waited when the address went leaves by another one.
            if lost > 0, self.isStranded, (try? self.reopen()) != nil {
                lost = self.socket.send(bytes, segmentSize: segmentSize)
            }
        }
        return lost
    }

    /// Whether this machine has lost the address that the socket sends from.
    private var isStranded: Bool { self.localAddress.map { !LocalAddress.isAssigned($0) } ?? false }
}

@available(*, unavailable)
extension EgressFlow: Sendable {}

extension EgressFlow: ConnectedUDPSocketDelegate {
    func socket(_ socket: ConnectedUDPSocket, received payload: ByteBuffer, segmentSize: Int?) {
        self.delegate?.flow(self, received: payload)
    }

    func socketReceiveComplete(_ socket: ConnectedUDPSocket) {
        self.delegate?.flowReceiveComplete(self)
    }
}
