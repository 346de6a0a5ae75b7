import LibC
import NIOCore
import NIOPosix
import UDP

/// Sends the datagrams of a UDP channel by system call; the first handler of its pipeline.
///
/// NIO closes a datagram channel when the kernel refuses a datagram, but for two error numbers. What is answered here
/// came from strangers, and some of it cannot be answered: a datagram with source port 0 (`EINVAL`), or one from a
/// network that a firewall or the routing table keeps us from (`EPERM`, `ENETUNREACH`). Such an answer is lost, as any
/// datagram may be, and the socket serves everybody else. So is one that the kernel's buffer has no room for: nothing
/// queues up here.
final class DatagramSender: ChannelDuplexHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundIn = AddressedEnvelope<ByteBuffer>

    /// The channel's socket, used only while the channel is active and on its event loop, which is where it is closed.
    private var descriptor: CInt?
    private var segmentationOffload = SegmentationOffload()

    func channelActive(context: ChannelHandlerContext) {
        self.findDescriptor(context)
        context.fireChannelActive()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.findDescriptor(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.descriptor = nil
        context.fireChannelInactive()
    }

    private func findDescriptor(_ context: ChannelHandlerContext) {
        self.descriptor = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard let descriptor = self.descriptor, context.channel.isActive else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch self.send(self.unwrapOutboundIn(data), descriptor: descriptor) {
        case 0: promise?.succeed()
        case let error: promise?.fail(IOError(errnoCode: error, reason: "sendto"))
        }
    }

    func flush(context: ChannelHandlerContext) {
        // Each datagram has left with its write.
    }

    /// Sends `envelope`, as several datagrams when it has a segment size, from the address that its metadata names.
    /// Returns the last error number, or 0.
    private func send(_ envelope: AddressedEnvelope<ByteBuffer>, descriptor: CInt) -> CInt {
        var rest = envelope.data
        let segment = max(1, envelope.metadata?.segmentSize ?? rest.readableBytes)
        let offloadedSize = UInt16(exactly: segment)
        let source = envelope.metadata?.packetInfo?.destinationAddress
        var offload = self.segmentationOffload.isOn
        var refusal: CInt?
        var failure: CInt = 0
        repeat {
            let isBatch = offload && offloadedSize != nil && rest.readableBytes > segment
            let length = min(isBatch ? segment * UDPDatagram.maximumSegments : segment, rest.readableBytes)
            let error = rest.withUnsafeReadableBytes {
                UDPDatagram.send(
                    UnsafeRawBufferPointer(rebasing: $0[..<length]), segmentSize: isBatch ? offloadedSize : nil,
                    from: source, to: envelope.remoteAddress, descriptor: descriptor)
            }
            if isBatch, error != 0, error != EAGAIN, error != ENOBUFS {
                // Singly, each datagram gets its own answer.
                refusal = error
                offload = false
                continue
            }
            if isBatch, error == 0 { self.segmentationOffload.accepted() }
            if error != 0 { failure = error }
            rest.moveReaderIndex(forwardBy: length)
        } while rest.readableBytes > 0
        if let refusal { self.segmentationOffload.refused(refusal, areTakenSingly: failure == 0) }
        return failure
    }
}

@available(*, unavailable)
extension DatagramSender: Sendable {}
