package import AppProto
package import Basics
package import NIOCore
package import UDPAssociation

/// Hears what an association receives, on the tunnel's event loop. Not called from inside a call to the association.
package protocol TunnelAssociationDelegate: AnyObject {
    /// A datagram, at the agent with where it is to go, at the client with where it comes from.
    func association(_ association: TunnelAssociation, received payload: ByteBuffer, with endpoint: Endpoint)
    /// The end of a batch of datagrams.
    func associationReceiveComplete(_ association: TunnelAssociation)
    /// It is over. The last call.
    func association(_ association: TunnelAssociation, ended: TunnelAssociation.End)
}

/// Why an agent takes no association.
package struct TunnelRefusal: Hashable, Sendable {
    package let code: OpenCode
    package let reason: String

    package init(_ code: OpenCode, reason: String) {
        self.code = code
        self.reason = reason
    }
}

/// A UDP association in a tunnel: datagrams both ways, for as long as its stream lives. Belongs to the tunnel's event loop,
/// and is kept by its stream.
package final class TunnelAssociation {
    /// How an association came to its end.
    package enum End: Hashable, Sendable {
        /// The other end has closed it.
        case closedByPeer
        /// The tunnel is over.
        case tunnelClosed
    }

    private enum State {
        case open(TunnelStream)
        case closed
    }

    package let id: AssociationID
    /// Not retained.
    package weak var delegate: (any TunnelAssociationDelegate)?
    private var state: State
    private weak var datagrams: TunnelDatagrams?
    /// What numbers its fragments.
    var writer: FrameWriter
    /// The tunnel's note that it has to be told of the end of the batch.
    var isInBatch = false

    init(_ stream: TunnelStream, _ datagrams: TunnelDatagrams) {
        self.id = AssociationID(streamID: stream.id)
        self.state = .open(stream)
        self.datagrams = datagrams
        self.writer = FrameWriter(association: self.id)
    }

    package var isOpen: Bool { if case .open = self.state { true } else { false } }

    /// Sends a datagram, or has it wait for its turn; what does not get its turn in time is lost.
    ///
    /// - Returns: false when it is larger than what is carried, ``AssociationLimits/payload``.
    package func send(_ payload: ByteBuffer, _ endpoint: Endpoint) -> Bool {
        guard let datagrams = self.datagrams, self.isOpen else { return true }
        return datagrams.send(payload, endpoint, by: self)
    }

    /// Ends it; the delegate hears nothing more.
    package func close() {
        guard case .open(let stream) = self.state else { return }
        self.state = .closed
        self.datagrams?.remove(self)
        stream.finish()
        stream.stopSending(.none)
    }

    private func ended(_ end: End) {
        guard case .open = self.state else { return }
        self.close()
        self.delegate?.association(self, ended: end)
    }
}

@available(*, unavailable)
extension TunnelAssociation: Sendable {}

/// Nothing travels on the stream itself, as yet.
extension TunnelAssociation: StreamConsumer {
    package func streamReceived(_ bytes: ByteBuffer) {
        if case .open(let stream) = self.state { stream.consume(bytes.readableBytes) }
    }

    package func streamFinished() { self.ended(.closedByPeer) }
    package func streamReset() { self.ended(.closedByPeer) }
    package func streamStopped() { self.ended(.closedByPeer) }
    package func streamBecameWritable() {}
    package func streamClosed() { self.ended(self.datagrams?.isOver ?? true ? .tunnelClosed : .closedByPeer) }
}
