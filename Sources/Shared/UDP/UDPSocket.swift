import DequeModule
import LibC
package import NIOCore
import NIOPosix

/// Hears what a socket receives, on its event loop.
package protocol UDPSocketDelegate: AnyObject {
    /// One datagram, or with `segmentSize` several of that size behind each other, the last perhaps shorter (UDP GRO).
    ///
    /// - Parameter local: which of this machine's addresses it was sent to, port 0, where the options ask for that.
    func socket(
        _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
        at local: SocketAddress?)
    /// The end of a batch of datagrams.
    func socketReceiveComplete(_ socket: UDPSocket)
    /// `isWritable` has changed. May be called from inside `send`.
    func socketWritabilityChanged(_ socket: UDPSocket)
    /// The socket is gone without `close()` having been called.
    func socketFailed(_ socket: UDPSocket, error: (any Error)?)
}

/// One UDP socket for many destinations: reads in vectors through NIO, sends by system call. Belongs to its event loop.
///
/// Sending never closes it. When the send buffer is full, datagrams wait in order in a bounded queue.
package final class UDPSocket {
    /// What became of a datagram.
    package enum SendResult: Hashable {
        /// Handed to the kernel, or waiting for room in its buffer.
        case sent
        /// Too much is waiting: dropped, as a full queue in the network does.
        case dropped
        /// The kernel refused, with this error number.
        case refused(CInt)
    }

    private struct Waiting {
        let bytes: ByteBuffer
        let segmentSize: Int?
        let source: SocketAddress?
        let destination: SocketAddress
    }

    /// Bound of what waits for room in the kernel's buffer, in bytes.
    private static let maximumWaitingBytes = 1 << 20
    /// A full send buffer is tried again after this long: much less than the network needs to empty it.
    private static let retryDelay = TimeAmount.milliseconds(1)

    package let channel: any Channel
    /// With the port that the kernel chose; the address may be the wildcard.
    package let localAddress: SocketAddress
    /// Not retained.
    package weak var delegate: (any UDPSocketDelegate)?

    private let handler: UDPSocketHandler
    private var descriptor: CInt
    private var segmentationOffload = SegmentationOffload()
    private var waiting: Deque<Waiting> = []
    private var waitingBytes = 0
    private var retry: Scheduled<Void>?

    private init(channel: any Channel, localAddress: SocketAddress, descriptor: CInt, handler: UDPSocketHandler) {
        self.channel = channel
        self.localAddress = localAddress
        self.descriptor = descriptor
        self.handler = handler
        handler.socket = self
    }

    /// Opens a socket on `address`, port 0 for any. The future is the event loop's and fails with `IOError`.
    package static func bind(
        to address: SocketAddress, options: DatagramSocketOptions = .path, eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<UDPSocket>> {
        let handler = NIOLoopBound(UDPSocketHandler(), eventLoop: eventLoop)
        let opened = NIOLoopBoundBox<(any Channel)?>.makeEmptyBox(valueType: (any Channel).self, eventLoop: eventLoop)
        var bootstrap = options.apply(to: DatagramBootstrap(group: eventLoop))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    opened.value = channel
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
        if address.protocol == .inet6 {
            // The other family has its own socket.
            bootstrap = bootstrap.channelOption(
                ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 1)
        }
        return bootstrap.bind(to: address).flatMapThrowing { channel in
            NIOLoopBound(
                try self.make(channel: channel, options: options, handler: handler.value), eventLoop: eventLoop)
        }.flatMapErrorThrowing { error in
            // NIO leaves the channel open when it cannot be bound.
            opened.value?.close(promise: nil)
            throw error
        }
    }

    private static func make(
        channel: any Channel, options: DatagramSocketOptions, handler: UDPSocketHandler
    ) throws -> UDPSocket {
        guard let localAddress = channel.localAddress else {
            throw ChannelError.unknownLocalAddress
        }
        // The descriptor is used only while the channel is active, and on its event loop, which is where it is closed.
        let descriptor = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard let descriptor else {
            throw ChannelError.operationUnsupported
        }
        if options.findsPathMTU {
            DatagramKernel.leaveMTUToOwner(descriptor: descriptor, family: localAddress.protocol)
        }
        if let size = options.kernelBufferBytes { DatagramKernel.forceBufferSize(size, descriptor: descriptor) }
        return UDPSocket(channel: channel, localAddress: localAddress, descriptor: descriptor, handler: handler)
    }

    /// False while datagrams wait for room in the kernel's buffer: better to send nothing new then.
    package var isWritable: Bool { self.waiting.isEmpty }

    /// Sends one datagram, or with `segmentSize` several of that size, the last perhaps shorter.
    ///
    /// - Parameter source: which of this machine's addresses they leave from; nil for the kernel's choice.
    package func send(
        _ bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress? = nil, to destination: SocketAddress
    ) -> SendResult {
        guard self.waiting.isEmpty else {
            return self.enqueue(bytes, segmentSize: segmentSize, from: source, to: destination)
        }
        var rest = bytes
        let error = self.sendNow(&rest, segmentSize: segmentSize, from: source, to: destination)
        switch error {
        case 0: return .sent
        case EAGAIN, EWOULDBLOCK, ENOBUFS:
            return self.enqueue(rest, segmentSize: segmentSize, from: source, to: destination)
        default: return .refused(error)
        }
    }

    /// Closes the socket; the delegate hears nothing more.
    package func close() {
        self.delegate = nil
        self.becameInactive()
        self.channel.close(promise: nil)
    }

    fileprivate func becameInactive() {
        self.descriptor = -1
        self.waiting = []
        self.waitingBytes = 0
        self.retry?.cancel()
        self.retry = nil
    }

    // MARK: Sending

    /// Hands `bytes` to the kernel, in as many calls as it takes, and moves its reader index past what has been sent.
    private func sendNow(
        _ bytes: inout ByteBuffer, segmentSize: Int?, from source: SocketAddress?, to destination: SocketAddress
    ) -> CInt {
        guard self.descriptor >= 0 else {
            return EBADF
        }
        var source = source
        let segment = segmentSize.flatMap(UInt16.init(exactly:)).map { max($0, 1) } ?? .max
        var offload = self.segmentationOffload.isOn
        var refusal: CInt?
        // An error of one datagram says nothing about the next; what the caller hears is the last one.
        var failure: CInt = 0
        repeat {
            let isBatch = offload && bytes.readableBytes > Int(segment)
            let length = min(bytes.readableBytes, isBatch ? Int(segment) * UDPDatagram.maximumSegments : Int(segment))
            let error = bytes.withUnsafeReadableBytes {
                UDPDatagram.send(
                    UnsafeRawBufferPointer(rebasing: $0[..<length]), segmentSize: isBatch ? segment : nil,
                    from: source, to: destination, descriptor: self.descriptor)
            }
            if source != nil, error == EINVAL || error == EADDRNOTAVAIL {
                // Not an address to send from: a broadcast or multicast one that was asked, or one that is gone.
                source = nil
                continue
            }
            switch error {
            case EAGAIN, EWOULDBLOCK, ENOBUFS:
                return error
            case let error where error != 0 && isBatch:
                // A device that cannot split (EIO), a segment larger than its MTU (EINVAL, EMSGSIZE), or trouble of another
                // kind: singly, each datagram gets its own answer.
                refusal = error
                offload = false
                continue
            default:
                if isBatch { self.segmentationOffload.accepted() }
                failure = error == 0 ? failure : error
            }
            bytes.moveReaderIndex(forwardBy: length)
        } while bytes.readableBytes > 0
        if let refusal { self.segmentationOffload.refused(refusal, areTakenSingly: failure == 0) }
        return failure
    }

    private func enqueue(
        _ bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress?, to destination: SocketAddress
    ) -> SendResult {
        guard self.descriptor >= 0 else {
            return .refused(EBADF)
        }
        guard self.waitingBytes + bytes.readableBytes <= Self.maximumWaitingBytes else {
            return .dropped
        }
        self.waiting.append(Waiting(bytes: bytes, segmentSize: segmentSize, source: source, destination: destination))
        self.waitingBytes += bytes.readableBytes
        if self.waiting.count == 1 {
            self.armRetry()
            self.delegate?.socketWritabilityChanged(self)
        }
        return .sent
    }

    private func armRetry() {
        self.retry = self.channel.eventLoop.assumeIsolated().scheduleTask(in: Self.retryDelay) { [weak self] in
            self?.sendWaiting()
        }
    }

    private func sendWaiting() {
        while let first = self.waiting.popFirst() {
            var rest = first.bytes
            switch self.sendNow(
                &rest, segmentSize: first.segmentSize, from: first.source, to: first.destination)
            {
            case EAGAIN, EWOULDBLOCK, ENOBUFS:
                self.waitingBytes -= first.bytes.readableBytes - rest.readableBytes
                self.waiting.prepend(
                    Waiting(
                        bytes: rest, segmentSize: first.segmentSize, source: first.source,
                        destination: first.destination))
                self.armRetry()
                return
            default:
                self.waitingBytes -= first.bytes.readableBytes
            }
        }
        self.retry = nil
        self.delegate?.socketWritabilityChanged(self)
    }
}

@available(*, unavailable)
extension UDPSocket: Sendable {}

/// Brings what NIO reads to the socket.
private final class UDPSocketHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    weak var socket: UDPSocket?
    private var error: (any Error)?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let socket = self.socket, let delegate = socket.delegate else {
            return
        }
        let envelope = self.unwrapInboundIn(data)
        delegate.socket(
            socket, received: envelope.data, segmentSize: envelope.metadata?.segmentSize, from: envelope.remoteAddress,
            at: envelope.metadata?.packetInfo?.destinationAddress)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard let socket = self.socket else {
            return
        }
        socket.delegate?.socketReceiveComplete(socket)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Of a datagram that was sent or received; NIO closes the socket if it is more than that.
        self.error = error
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard let socket = self.socket else {
            return
        }
        socket.becameInactive()
        socket.delegate?.socketFailed(socket, error: self.error)
    }
}

@available(*, unavailable)
extension UDPSocketHandler: Sendable {}
