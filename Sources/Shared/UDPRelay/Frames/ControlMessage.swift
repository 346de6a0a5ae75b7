package import NIOCore

/// The payload of a frame on flow 0: the channel speaking about itself. One byte of type, then the type's fields.
package enum ControlMessage: Equatable, Sendable {
    /// Keeps the channel alive and shows that it is: answered by ``keepaliveReply(token:)`` with the same token.
    case keepalive(token: UInt32)
    /// The answer to ``keepalive(token:)``.
    case keepaliveReply(token: UInt32)
    /// The sender has forgotten the flow (idle, or over its limit).
    case flowClosed(FlowID)

    private enum Kind: UInt8 {
        case keepalive = 0
        case keepaliveReply = 1
        case flowClosed = 2
    }

    /// Reads a control payload; nil for a type that this version does not know, which is to be ignored.
    package init?(decoding payload: ByteBuffer) throws(RelayFrameError) {
        var payload = payload
        guard let type = payload.readInteger(as: UInt8.self) else { throw .malformedControl }
        guard let kind = Kind(rawValue: type) else { return nil }
        guard payload.readableBytes == 4, let value = payload.readInteger(as: UInt32.self) else {
            throw .malformedControl
        }
        switch kind {
        case .keepalive: self = .keepalive(token: value)
        case .keepaliveReply: self = .keepaliveReply(token: value)
        case .flowClosed:
            guard value != FlowID.control.rawValue else { throw .malformedControl }
            self = .flowClosed(FlowID(rawValue: value))
        }
    }

    /// The payload of the control frame.
    package func encoded() -> ByteBuffer {
        let (kind, value): (Kind, UInt32) =
            switch self {
            case .keepalive(let token): (.keepalive, token)
            case .keepaliveReply(let token): (.keepaliveReply, token)
            case .flowClosed(let id): (.flowClosed, id.rawValue)
            }
        var payload = ByteBuffer()
        payload.reserveCapacity(5)
        payload.writeInteger(kind.rawValue)
        payload.writeInteger(value)
        return payload
    }
}
