import NIOCore
import STUN

/// Answers STUN Binding requests on a UDP socket of the server; the last handler, on the main port behind QUIC's.
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
        // The answer leaves from the address that was asked, where the socket has several.
        let metadata = datagram.metadata?.packetInfo.map {
            AddressedEnvelope<ByteBuffer>.Metadata(ecnState: .transportNotCapable, packetInfo: $0)
        }
        context.write(
            self.wrapOutboundOut(
                AddressedEnvelope(remoteAddress: datagram.remoteAddress, data: answer, metadata: metadata)),
            promise: nil)
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
