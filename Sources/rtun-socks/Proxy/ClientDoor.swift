import Basics
import Logging
import NIOCore

/// The first handler of a client's connection: looks at its first byte, puts the handler for its protocol behind itself, and
/// leaves.
///
/// 4 and 5 are versions of SOCKS; a letter or another character of a token begins the method of an HTTP request. The handler
/// for SOCKS gets everything else as well, and refuses it.
final class ClientDoor: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// What a client speaks, as its first byte says.
    enum Language: Equatable {
        case socks
        case http

        init(firstByte: UInt8) {
            self = Self.isOfMethod(firstByte) ? .http : .socks
        }

        /// A token character (RFC 9110 §5.6.2).
        private static func isOfMethod(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
    }

    /// From the connection to the whole request, whatever it is.
    static let handshake = TimeAmount.seconds(30)

    private enum State {
        case idle
        case waiting(deadline: NIODeadline, timeout: Scheduled<Void>)
        case finished
    }

    private var state = State.idle
    private let logger: Logger
    private let makeHandler: (_ language: Language, _ remaining: TimeAmount) -> any ChannelHandler

    /// - Parameter makeHandler: makes the handler for a protocol, which gives a client as much time for its request as remains.
    init(
        logger: Logger, makeHandler: @escaping (_ language: Language, _ remaining: TimeAmount) -> any ChannelHandler
    ) {
        self.logger = logger
        self.makeHandler = makeHandler
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard case .idle = self.state else { return }
        let deadline = context.eventLoop.now + Self.handshake
        let timeout = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.logger.debug(
                "no request in time", metadata: ["client": "\(context.remoteAddress?.authority ?? "unknown")"])
            self.end(context)
        }
        self.state = .waiting(deadline: deadline, timeout: timeout)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        guard let first = bytes.readableBytesView.first, case .waiting(let deadline, let timeout) = self.state else {
            // Behind the first bytes, while this leaves.
            return context.fireChannelRead(data)
        }
        timeout.cancel()
        self.state = .finished
        let handler = self.makeHandler(Language(firstByte: first), deadline - context.eventLoop.now)
        do {
            try context.pipeline.syncOperations.addHandler(handler, position: .after(self))
        } catch {
            return context.close(promise: nil)
        }
        context.fireChannelRead(data)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed = event as? ChannelEvent, case .waiting = self.state { return self.end(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.stop()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard case .waiting = self.state else { return context.fireErrorCaught(error) }
        self.end(context)
    }

    private func end(_ context: ChannelHandlerContext) {
        self.stop()
        context.close(promise: nil)
    }

    private func stop() {
        if case .waiting(_, let timeout) = self.state { timeout.cancel() }
        self.state = .finished
    }
}

@available(*, unavailable)
extension ClientDoor: Sendable {}
