package import Basics
package import FlowLedger
package import NIOCore
package import TunnelClient

/// A connector that records what is asked of it; the test answers.
package final class FakeConnector: TargetConnector {
    package typealias Request = (target: Target, origin: FlowOrigin, completion: (TargetResult) -> Void)

    package private(set) var requests: [Request] = []
    package private(set) var cancelled: [RequestID] = []

    package init() {}

    package func connect(
        to target: Target, for origin: FlowOrigin, completion: @escaping (TargetResult) -> Void
    ) -> RequestID {
        self.requests.append((target, origin, completion))
        return RequestID(rawValue: UInt64(self.requests.count))
    }

    package func cancel(_ id: RequestID) { self.cancelled.append(id) }
}

/// What takes over from a client's handler.
package final class FakeCarrier: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package private(set) var received = ""
    package private(set) var isInputClosed = false
    package private(set) var isAbandoned = false

    package init() {}

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.received += String(buffer: self.unwrapInboundIn(data))
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed = event as? ChannelEvent { self.isInputClosed = true }
    }

    /// The connection that it carries.
    package var connection: TargetConnection {
        TargetConnection(
            boundAddress: nil, makeHandler: { self }, makeStream: { preconditionFailure("a tunnel is asked for") },
            abandon: { self.isAbandoned = true })
    }
}

@available(*, unavailable)
extension FakeCarrier: Sendable {}
