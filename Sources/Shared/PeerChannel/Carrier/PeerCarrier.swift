package import Basics
package import NIOCore
package import PeerPath

/// The way for datagrams to the peer, as a carrier sees it: which path that is, and when it changes, is not its business.
package protocol DatagramPath: AnyObject {
    /// Sends one datagram, or with `segmentSize` several of that size, the last perhaps shorter.
    ///
    /// - Returns: false when they were dropped on this machine.
    @discardableResult
    func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool
    /// The largest datagram that the path is known to carry, in bytes of UDP payload.
    var maximumDatagramSize: Int { get }
    /// The largest datagram that the path carries well, for those who may choose: on the bridge it fits into one packet of a
    /// control connection over QUIC. What does not fit goes over a stream there, and waits for all that is lost before it.
    var preferredDatagramSize: Int { get }
    /// As measured by the last connectivity check; nil before the first.
    var roundTripTime: TimeAmount? { get }
}

/// What a carrier is made from.
package struct PeerCarrierContext {
    package let side: PeerSide
    /// The only certificate that the peer may show.
    package let peerFingerprint: CertificateFingerprint
    package let configuration: PeerChannelConfiguration
    package let eventLoop: any EventLoop
    package let path: any DatagramPath
}

/// Hears what becomes of a carrier, on its event loop. Never called from inside a call to the carrier.
package protocol PeerCarrierDelegate: AnyObject {
    /// Both sides are authenticated.
    func carrierConnected()
    /// An answer of the peer has been missing for so long that it is better to look for another one, or the peer has spoken
    /// again. Told of each change.
    func carrierSuspicionChanged(_ isSuspect: Bool)
    /// The carrier is over. The last call.
    func carrierClosed(_ reason: PeerChannelError)
}

/// The encrypted protocol between the two ends of a peer channel: a QUIC tunnel or a DTLS datagram channel. Belongs to
/// its event loop.
package protocol PeerCarrier: AnyObject {
    /// Not retained. Set by the channel.
    var carrierDelegate: (any PeerCarrierDelegate)? { get set }
    /// Whether both sides are authenticated and the carrier is not over.
    var isConnected: Bool { get }
    /// Whether the carrier is over.
    var isClosed: Bool { get }
    /// As the carrier measures it; nil when it doesn't, or hasn't yet.
    var roundTripTime: TimeAmount? { get }

    /// Takes one datagram, or with `segmentSize` several; `receiveComplete` ends the batch. Equal `arrival`s came the same
    /// way.
    func receive(_ bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32)
    /// The batch is over.
    func receiveComplete()
    /// The path takes datagrams again, or takes none for now.
    func pathWritabilityChanged(_ isWritable: Bool)
    /// Datagrams go another way from now on: nothing that was learnt of the old one holds.
    func pathChanged()
    /// `maximumDatagramSize` of the path has changed.
    func pathLimitChanged()
    /// Ends the carrier and tells the peer; the delegate hears of it.
    func close(saying words: String)
}
