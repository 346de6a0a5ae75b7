import NIOCore
import STUN

/// Answers STUN Binding requests on the server's UDP port; the last handler, behind QUIC's.
final class STUNResponder: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private var needsFlush = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let datagram = self.unwrapInboundIn(data)
        // A socket that takes no more datagrams loses this one, as UDP may: nothing queues up here.
        guard context.channel.isWritable,
            let answer = STUNServer.respond(to: datagram.data, from: datagram.remoteAddress)
        else { return }
        context.write(
            self.wrapOutboundOut(AddressedEnvelope(remoteAddress: datagram.remoteAddress, data: answer)), promise: nil)
        self.needsFlush = true
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.needsFlush {
            self.needsFlush = false
            context.flush()
        }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A datagram socket reports what happened to an earlier datagram (an ICMP answer). It goes on working.
    }
}

@available(*, unavailable)
extension STUNResponder: Sendable {}
