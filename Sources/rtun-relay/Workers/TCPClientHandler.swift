import Basics
import FlowLedger
import Logging
import NIOCore
import Tunnel
import TunnelClient

/// One client of a tcp rule, from its coming until its connection is glued to the target's; then this leaves the pipeline.
///
/// The channel must allow remote half-closure and not read by itself: a client that talks first talks to the target, and
/// until there is one, what it says stays in the kernel. Only what is there when it ends its sending direction comes early.
final class TCPClientHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private enum State {
        case idle
        case connecting(RequestID, early: ByteBuffer, inputClosed: Bool)
        /// Closed, or handed over.
        case finished
    }

    private var state = State.idle
    private let target: Target
    private let connector: any TargetConnector
    private let failed: (ConnectFailure, SocketAddress?) -> Void

    /// `failed`: called with the client's address when there is no connection to the target; the client gets a reset.
    init(
        target: Target, connector: any TargetConnector, failed: @escaping (ConnectFailure, SocketAddress?) -> Void
    ) {
        self.target = target
        self.connector = connector
        self.failed = failed
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.connect(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.connect(context)
        context.fireChannelActive()
    }

    private func connect(_ context: ChannelHandlerContext) {
        guard case .idle = self.state else { return }
        let origin = FlowOrigin(.tcp, client: context.remoteAddress?.authority ?? "unknown")
        let id = self.connector.connect(to: self.target, for: origin) { result in
            // The state keeps an answer from a client that has gone; the context is valid while the state says so.
            guard case .connecting(_, let early, let inputClosed) = self.state else {
                if case .connected(let connection) = result { connection.abandon() }
                return
            }
            self.state = .finished
            switch result {
            case .connected(let connection):
                connection.takeOver(from: self, context, early: early, inputClosed: inputClosed)
            case .failed(let failure):
                self.failed(failure, context.remoteAddress)
                self.reset(context)
            }
        }
        self.state = .connecting(id, early: ByteBuffer(), inputClosed: false)
    }

    /// What a client without a proxy would see of a target that refuses, and of one that is lost: RST.
    private func reset(_ context: ChannelHandlerContext) {
        ConnectionSocket(context.channel).setResetsOnClose(true)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .connecting(let id, var early, let inputClosed) = self.state else { return }
        var bytes = self.unwrapInboundIn(data)
        // One reference only, or else each piece would copy all before it.
        self.state = .finished
        early.writeBuffer(&bytes)
        self.state = .connecting(id, early: early, inputClosed: inputClosed)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed = event as? ChannelEvent, case .connecting(let id, let early, _) = self.state else {
            return context.fireUserInboundEventTriggered(event)
        }
        self.state = .connecting(id, early: early, inputClosed: true)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.abandon()
        context.fireChannelInactive()
    }

    /// Mostly a reset of the client's.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.abandon()
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.abandon() }

    private func abandon() {
        if case .connecting(let id, _, _) = self.state { self.connector.cancel(id) }
        self.state = .finished
    }
}

@available(*, unavailable)
extension TCPClientHandler: Sendable {}
