package import NIOCore
package import STUN

/// Who decides on the selected pair (RFC 8445 §6.1.1).
package enum ICERole: Hashable, Sendable {
    case controlling
    case controlled

    var opposite: ICERole {
        self == .controlling ? .controlled : .controlling
    }
}

/// One datagram to send.
package struct ICETransmit: Hashable, Sendable {
    package let base: LocalBaseID
    package let destination: SocketAddress
    package let payload: ByteBuffer
    /// Whether it asks an address that has not answered yet: who made up the address decides where that leads.
    package var isToStranger = false
}

/// A path, as events and reports show it.
package struct ICECandidatePair: Hashable, Sendable {
    /// How the peer sees us: a host candidate, or the reflexive one that our checks were answered with.
    package let local: ICECandidate
    package let remote: ICECandidate
    /// Send data from here …
    package let base: LocalBaseID
    /// … to here, and take it from here.
    package var remoteAddress: SocketAddress { self.remote.address }
    /// For `ICEAgent.probe`.
    package let id: ICEPairID
    /// RFC 8445 §6.1.2.3
    package let priority: UInt64
    /// Of the last check that was answered at once; nil while every answer followed a retransmission.
    package let roundTripTime: TimeAmount?
}

/// What an `ICEAgent` has to say.
package enum ICEEvent: Hashable, Sendable {
    /// The first pair that has carried a response to our own check. Data may flow over it now, before anything is
    /// nominated (RFC 8445 §12.1.1).
    case pairUsable(ICECandidatePair)
    /// Data goes over this pair from now on. Also sent when the pair in use has just been nominated.
    case selectedPairChanged(ICECandidatePair)
    /// The peer no longer consents to traffic on this pair: stop sending on it (RFC 7675 §5.1). Followed by
    /// `selectedPairChanged` when another pair takes over, otherwise by `failed`.
    case consentLost(ICECandidatePair)
    /// The pair in use answered a check.
    case rttSample(ICECandidatePair, TimeAmount)
    /// The probe with this id got through, and its answer came back: the path carries datagrams of `size` bytes in both
    /// directions. The size is nil when the peer left out the padding, as those that don't know of it do.
    case probeAnswered(TransactionID, size: Int?, roundTripTime: TimeAmount)
    /// A role conflict was resolved against us (RFC 8445 §7.3.1.1).
    case roleChanged(ICERole)
    /// There is no path, or none any more. The last event.
    case failed(ICEReport)
}
