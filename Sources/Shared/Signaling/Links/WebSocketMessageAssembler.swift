import NIOCore
import NIOWebSocket

/// Makes messages of WebSocket frames (RFC 6455 §5): fragments, control frames between them, masks.
struct WebSocketMessageAssembler {
    /// What a frame amounts to.
    enum Output: Equatable {
        /// Nothing to do: a fragment, or a `pong`.
        case nothing
        /// A whole binary message.
        case message(ByteBuffer)
        /// Answer with a `pong` of this content.
        case ping(ByteBuffer)
        /// The peer closes; its status code, if it gave one.
        case close(WebSocketErrorCode?)
        /// Close with this status code: the peer is at fault.
        case violation(WebSocketErrorCode, String)
    }

    /// Whether frames must be masked: those of clients must, those of servers must not (RFC 6455 §5.1).
    private let expectsMask: Bool
    private var fragments: ByteBuffer?

    init(expectsMask: Bool) {
        self.expectsMask = expectsMask
    }

    mutating func receive(_ frame: WebSocketFrame) -> Output {
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
            return .violation(.protocolError, "a reserved bit is set")  // RFC 6455 §5.2
        }
        guard (frame.maskKey != nil) == self.expectsMask else {
            return .violation(.protocolError, self.expectsMask ? "a frame is not masked" : "a frame is masked")
        }
        let data = frame.unmaskedData
        switch frame.opcode {
        case .binary:
            guard self.fragments == nil else {
                return .violation(.protocolError, "a new message starts before the last one is complete")
            }
            // The decoder's frame limit is the message limit.
            if frame.fin {
                return data.readableBytes > 0 ? .message(data) : .violation(.policyViolation, "an empty message")
            }
            self.fragments = data
            return .nothing
        case .continuation:
            return self.append(data, isLast: frame.fin)
        case .text:
            return .violation(.unacceptableData, "a text message; only binary ones are understood")
        case .ping:
            return .ping(data)
        case .pong:
            return .nothing
        case .connectionClose:
            var data = data
            return .close(data.readWebSocketErrorCode())
        default:
            return .violation(.protocolError, "unknown opcode")
        }
    }

    private mutating func append(_ data: ByteBuffer, isLast: Bool) -> Output {
        guard let size = self.fragments?.readableBytes else {
            return .violation(.protocolError, "a continuation has nothing to continue")
        }
        guard size + data.readableBytes <= SignalLinkLimits.maximumMessageSize else {
            self.fragments = nil
            return .violation(.messageTooLarge, "a message of more than \(SignalLinkLimits.maximumMessageSize) bytes")
        }
        // In place: copying what is there for every fragment would let a peer of tiny fragments burn our time.
        self.fragments?.writeImmutableBuffer(data)
        // They cost time, and there may be any number of them.
        guard isLast || data.readableBytes > 0 else { return .violation(.policyViolation, "an empty fragment") }
        guard isLast, let message = self.fragments else { return .nothing }
        self.fragments = nil
        return message.readableBytes > 0 ? .message(message) : .violation(.policyViolation, "an empty message")
    }
}
