package import Logging
package import NIOCore
import OperatingSystem

/// On a listening channel: pauses when a connection cannot be accepted, mostly for want of file descriptors, and says so.
///
/// The connection stays in the kernel's queue, so that accepting would fail again at once, and for ever: a busy loop.
/// NIO's `AcceptBackoffHandler` holds back reads that the channel asks for, which after a failure it does not: it goes on
/// with the one that is pending. Switching `autoRead` off reaches that one too.
package final class AcceptErrorHandler: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(100)

    private let logger: Logger
    private var rateLimiter = LogRateLimiter()
    private var resumption: Scheduled<Void>?

    /// `logger` is told at most every 10 s.
    package init(logger: Logger) {
        self.logger = logger
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let occurrences = self.rateLimiter.occurrences(at: context.eventLoop.now) {
            self.logger.warning(
                "cannot accept a connection: \(SystemError.text(of: error))",
                metadata: [
                    "event": "accept.failed",
                    "error": "\(SystemError.text(of: error))",
                    "occurrences": .stringConvertible(occurrences),
                ])
        }
        if self.resumption == nil {
            self.setAutoRead(false, context)
            self.resumption = context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
                self.resumption = nil
                self.setAutoRead(true, context)
            }
        }
        context.fireErrorCaught(error)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.resumption?.cancel()
        self.resumption = nil
        context.fireChannelInactive()
    }

    private func setAutoRead(_ value: Bool, _ context: ChannelHandlerContext) {
        // Fails only on a channel that is closed.
        try? context.channel.syncOptions?.setOption(.autoRead, value: value)
    }
}

@available(*, unavailable)
extension AcceptErrorHandler: Sendable {}
