import NIOCore

/// Hands a link's messages to its delegate, and keeps what comes while there is none: between the upgrade and the
/// handshake, and between the handshake and the connection proper. Shared by the transports, so that they behave alike.
final class SignalLinkOutlet {
    private enum Ending {
        case none
        case waiting(error: (any Error)?)
        case told
    }

    var delegate: (any SignalLinkDelegate)?
    private var messages = CircularBuffer<ByteBuffer>()
    private var messageBytes = 0
    private var ending = Ending.none
    private var isDelivering = false

    /// Whether messages wait for a delegate: then the link had better read no more.
    var isHolding: Bool { !self.messages.isEmpty }

    /// Takes a message in. False when too much waits for a delegate: the link must be closed.
    func deliver(_ message: ByteBuffer, from link: any SignalLink) -> Bool {
        guard case .none = self.ending else { return true }
        self.messages.append(message)
        self.messageBytes += message.readableBytes
        guard self.messageBytes <= SignalLinkLimits.maximumPendingBytes,
            self.messages.count <= SignalLinkLimits.maximumWaitingMessages
        else { return false }
        self.deliverAll(from: link)
        return true
    }

    /// Tells of the end, after the messages that came before it. Only the first call counts.
    func end(error: (any Error)?, of link: any SignalLink) {
        guard case .none = self.ending else { return }
        self.ending = .waiting(error: error)
        self.deliverAll(from: link)
    }

    /// From now on nobody is told anything.
    func close() {
        self.ending = .told
        self.delegate = nil
        self.messages = CircularBuffer()
    }

    /// Call after `delegate` was set. A delegate may be replaced in the middle; the next message goes to the new one.
    func deliverAll(from link: any SignalLink) {
        guard !self.isDelivering else { return }
        self.isDelivering = true
        defer { self.isDelivering = false }
        while let delegate = self.delegate, let message = self.messages.popFirst() {
            self.messageBytes -= message.readableBytes
            delegate.link(link, received: message)
        }
        if let delegate = self.delegate, case .waiting(let error) = self.ending {
            self.close()
            delegate.linkClosed(link, error: error)
        }
    }
}
