import LibC
package import NIOCore
import NIOPosix

/// Hears what a connected socket receives, on its event loop. May call the socket as it likes, ``ConnectedUDPSocket/close()``
/// included.
package protocol ConnectedUDPSocketDelegate: AnyObject {
    /// A datagram, or with `segmentSize` several of that size behind each other, the last perhaps shorter (UDP GRO). The
    /// payload shares memory that is used again: copy what is to be kept.
    func socket(_ socket: ConnectedUDPSocket, received payload: ByteBuffer, segmentSize: Int?)
    /// The end of a batch.
    func socketReceiveComplete(_ socket: ConnectedUDPSocket)
    /// The network tells of a datagram sent earlier (ICMP). The socket is as good as before.
    func socket(_ socket: ConnectedUDPSocket, reported error: IOError)
}

extension ConnectedUDPSocketDelegate {
    package func socket(_ socket: ConnectedUDPSocket, reported error: IOError) {}
}

/// A UDP socket that exchanges datagrams with one remote address: the kernel drops what others send. Belongs to the event
/// loop of its poller.
///
/// Small: a descriptor and this object. Errors that the network reports (ICMP) are counted, and change nothing.
package final class ConnectedUDPSocket {
    /// Datagrams read in one turn of the loop; then other sockets have theirs.
    private static let readsPerTurn = 8
    /// Bytes asked for each kernel buffer: bursts of one flow.
    private static let kernelBufferBytes: CInt = 1 << 20

    /// Not retained.
    package weak var delegate: (any ConnectedUDPSocketDelegate)?
    /// How many errors the network has reported about datagrams sent earlier.
    package private(set) var reportedErrors: UInt64 = 0
    /// Where its datagrams come from, as the remote end sees them but for NAT; nil when it is closed.
    package var localAddress: SocketAddress? {
        SocketAddress(localAddressOf: self.descriptor)
    }

    private let poller: UDPPoller
    private var descriptor: CInt
    private var token: UInt64 = 0
    private var segmentationOffload = SegmentationOffload()
    /// Whether datagrams may come several at once.
    let receivesSegments: Bool
    /// It is among those that the poller will have read.
    var isQueued = false

    /// Opens a socket on a port of the kernel's choosing.
    ///
    /// - Parameter receivesSegments: whether datagrams may come several at once (UDP GRO), where the kernel can.
    /// - Throws: `IOError` when there is no route to `remote`, no free port, or no free descriptor.
    package init(to remote: SocketAddress, receivesSegments: Bool = false, poller: UDPPoller) throws(IOError) {
        poller.eventLoop.preconditionInEventLoop()
        self.receivesSegments = receivesSegments && SegmentationOffload.isSupportedForReceiving
        self.poller = poller
        self.descriptor = try Self.connect(to: remote)
        if self.receivesSegments { SegmentationOffload.turnOnReceiving(descriptor: self.descriptor) }
        do {
            self.token = try poller.add(self, descriptor: self.descriptor)
        } catch {
            closeDescriptor(self.descriptor)
            self.descriptor = -1
            throw error
        }
    }

    private static func connect(to remote: SocketAddress) throws(IOError) -> CInt {
        let descriptor = DatagramKernel.open(remote.protocol, isBlocking: false)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        // The last one for remote addresses that are those of a whole network (ip(7)).
        for (option, value) in [
            (SO_RCVBUF, Self.kernelBufferBytes), (SO_SNDBUF, Self.kernelBufferBytes), (SO_BROADCAST, 1),
        ] {
            var value = value
            _ = setsockopt(descriptor, SOL_SOCKET, option, &value, socklen_t(MemoryLayout<CInt>.size))
        }
        guard remote.withSockAddr({ connectDescriptor(descriptor, $0, socklen_t($1)) }) == 0 else {
            let error = errno
            closeDescriptor(descriptor)
            throw IOError(errnoCode: error, reason: "connect")
        }
        return descriptor
    }

    deinit {
        // The poller holds an open socket.
        assert(self.descriptor < 0, "a connected socket is closed before it is released")
    }

    /// Closes the socket; the delegate hears nothing more.
    package func close() {
        guard self.descriptor >= 0 else { return }
        self.poller.remove(self.token)
        closeDescriptor(self.descriptor)
        self.descriptor = -1
        self.delegate = nil
    }

    // MARK: Sending

    /// Sends one datagram, or with `segmentSize` several of that size, the last perhaps shorter. What the kernel has no
    /// room for is lost: nothing queues up here.
    ///
    /// - Returns: how many datagrams did not leave.
    package func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Int {
        guard self.descriptor >= 0 else { return 1 }
        guard let segmentSize = segmentSize.flatMap(UInt16.init(exactly:)), segmentSize > 0 else {
            return self.transmit(bytes) == 0 ? 0 : 1
        }
        var refusal: CInt?
        if self.segmentationOffload.isOn {
            switch self.transmit(bytes, segmentSize: segmentSize) {
            case 0:
                self.segmentationOffload.accepted()
                return 0
            case EAGAIN, EWOULDBLOCK, ENOBUFS:
                return (bytes.readableBytes + Int(segmentSize) - 1) / Int(segmentSize)
            case let error: refusal = error
            }
        }
        // Singly, each datagram gets its own answer.
        let lost = DatagramSegments(bytes, size: Int(segmentSize)).count { self.transmit($0) != 0 }
        if let refusal { self.segmentationOffload.refused(refusal, areTakenSingly: lost == 0) }
        return lost
    }

    /// Returns 0, or an error number.
    private func transmit(_ bytes: ByteBuffer, segmentSize: UInt16? = nil) -> CInt {
        bytes.withUnsafeReadableBytes { bytes in
            let error = UDPDatagram.send(bytes, segmentSize: segmentSize, to: nil, descriptor: self.descriptor)
            guard DatagramKernel.isReport(error) else { return error }
            // The kernel may tell of an earlier datagram without having looked at this one. If it says so again, that was
            // its own word.
            let second = UDPDatagram.send(bytes, segmentSize: segmentSize, to: nil, descriptor: self.descriptor)
            if second != error { self.report(error) }
            return second
        }
    }

    private func report(_ error: CInt) {
        self.reportedErrors += 1
        self.delegate?.socket(self, reported: IOError(errnoCode: error, reason: "ICMP"))
    }

    // MARK: Receiving

    /// Reads what is there, up to a bound; true when more may be there.
    func read(into buffer: inout ReceiveBuffer) -> Bool {
        var hasReceived = false
        defer { if hasReceived { self.delegate?.socketReceiveComplete(self) } }
        for _ in 0..<Self.readsPerTurn {
            guard self.descriptor >= 0 else { return false }
            let outcome = buffer.read(from: self.descriptor) { datagram, segmentSize in
                self.delegate?.socket(self, received: datagram, segmentSize: segmentSize)
            }
            if outcome.count > 0 { hasReceived = true }
            if let error = outcome.error {
                self.report(error)
            } else if outcome.count == 0 {
                return false
            }
        }
        return true
    }
}

@available(*, unavailable)
extension ConnectedUDPSocket: Sendable {}

/// connect(2), in a type that has a `connect` of its own.
private func connectDescriptor(_ descriptor: CInt, _ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> CInt {
    connect(descriptor, address, length)
}
