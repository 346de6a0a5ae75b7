import Basics
import CommandSupport
import DequeModule
package import Logging
package import NIOCore

/// The server socket's handler that stops accepting at a limit: further clients wait in the kernel's queue.
///
/// Clients that have not said yet what they want make room: when places are short, the one goes that has been silent longest.
/// So nobody holds all places by saying nothing. A batch of accepts that has begun is finished, so that the limit may be exceeded by a few.
package final class ConnectionLimiter: ChannelDuplexHandler {
    package typealias InboundIn = any Channel
    package typealias InboundOut = any Channel
    package typealias OutboundIn = Never

    /// Connections that are open.
    package private(set) var count = 0
    /// Clients whose request has not come, in the order of their coming.
    private var unfinished: Deque<(channel: any Channel, since: NIODeadline)> = []
    /// The next look whether somebody has been silent for long enough.
    private var look: Scheduled<Void>?
    /// Whoever means well says what it wants within that; before, nobody makes room.
    private static let patience = TimeAmount.seconds(1)
    /// How many may be open at once. One that grows lets those in that wait.
    package var limit: Int {
        didSet { self.resume() }
    }
    private let logger: Logger
    private var rateLimiter = LogRateLimiter()
    private var context: ChannelHandlerContext?
    private var readIsHeld = false
    private var onEmpty: [EventLoopPromise<Void>] = []

    package init(limit: Int, logger: Logger) {
        self.limit = limit
        self.logger = logger
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.look?.cancel()
        self.look = nil
        self.context = nil
    }

    package func read(context: ChannelHandlerContext) {
        guard self.count < self.limit || self.isSomebodySilent(at: context.eventLoop.now) else {
            self.readIsHeld = true
            self.armLook(context)
            if let occurrences = self.rateLimiter.occurrences(at: context.eventLoop.now) {
                self.logger.warning(
                    "too many connections: new ones have to wait",
                    metadata: ["limit": .stringConvertible(self.limit), "occurrences": .stringConvertible(occurrences)])
            }
            return
        }
        context.read()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = self.unwrapInboundIn(data)
        self.count += 1
        if self.count > self.limit, self.isSomebodySilent(at: context.eventLoop.now),
            let silent = self.unfinished.popFirst()?.channel
        {
            self.logger.debug(
                "closing a silent client to make room",
                metadata: ["client": "\(silent.remoteAddress?.authority ?? "unknown")"])
            silent.close(promise: nil)
        }
        self.unfinished.append((channel, context.eventLoop.now))
        channel.closeFuture.hop(to: context.eventLoop).assumeIsolated().whenComplete { _ in
            self.requestCame(from: channel)
            self.connectionClosed()
        }
        context.fireChannelRead(data)
    }

    /// A client has said what it wants, or is gone: it makes room for nobody any more.
    package func requestCame(from channel: any Channel) {
        self.unfinished.removeAll { $0.channel === channel }
    }

    /// Whether there is a client that has been silent for so long that it makes room.
    private func isSomebodySilent(at now: NIODeadline) -> Bool {
        self.unfinished.first.map { now - $0.since >= Self.patience } ?? false
    }

    private func armLook(_ context: ChannelHandlerContext) {
        guard self.look == nil, let oldest = self.unfinished.first else { return }
        self.look = context.eventLoop.assumeIsolated().scheduleTask(deadline: oldest.since + Self.patience) {
            [weak self] in
            guard let self else { return }
            self.look = nil
            guard self.readIsHeld, let context = self.context else { return }
            self.readIsHeld = false
            self.read(context: context)
        }
    }

    /// Succeeds once no connection is open.
    package func whenEmpty(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        if self.count == 0 { promise.succeed() } else { self.onEmpty.append(promise) }
        return promise.futureResult
    }

    private func resume() {
        guard self.count < self.limit, self.readIsHeld else { return }
        self.readIsHeld = false
        self.context?.read()
    }

    private func connectionClosed() {
        self.count -= 1
        self.resume()
        if self.count == 0 {
            let promises = self.onEmpty
            self.onEmpty = []
            for promise in promises { promise.succeed() }
        }
    }
}

@available(*, unavailable)
extension ConnectionLimiter: Sendable {}
