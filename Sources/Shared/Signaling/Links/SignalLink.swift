package import NIOCore

/// One control connection below the messages: carries them whole and in order, whatever the transport. Beside that it
/// carries messages that may be lost, as long as there is room for them, and without keeping the others waiting.
///
/// A link belongs to its event loop; every member is used there only. What arrives before a delegate is set is kept
/// for it. After `close()` the delegate hears nothing more.
package protocol SignalLink: AnyObject {
    /// Where the link lives.
    var eventLoop: any EventLoop { get }
    /// This end's address; nil when the transport does not know it.
    var localAddress: SocketAddress? { get }
    /// The other end's address; nil when the transport does not know it.
    var remoteAddress: SocketAddress? { get }
    /// The TLS exporter value that ties the handshake to this connection (RFC 9266), 32 bytes; nil without TLS.
    var channelBinding: [UInt8]? { get }
    /// Who hears of messages and of the end. Held strongly until the link has closed.
    var delegate: (any SignalLinkDelegate)? { get set }
    /// Bytes handed to `send` that have not left the process yet.
    var pendingBytes: Int { get }
    /// When the last byte came in (any byte: a part of a message counts).
    var lastReceived: NIODeadline { get }
    /// Sends one message of 1…`SignalLinkLimits.maximumMessageSize` bytes. A peer that leaves more than
    /// `SignalLinkLimits.maximumPendingBytes` unread loses the link. Without effect once closed.
    func send(_ message: ByteBuffer)
    /// Whether there is room for messages that may be lost: little of what was sent has not left yet. When this has been
    /// false, `linkBecameWritable` tells that it is true again.
    var hasRoom: Bool { get }
    /// The largest message that suits `sendUnreliably`, in bytes; larger ones are carried too, but not as well. Changes
    /// with the path.
    var preferredUnreliableSize: Int { get }
    /// Sends one message that may be lost or overtake others, of 1…`SignalLinkLimits.maximumMessageSize` bytes. Ask `hasRoom`
    /// before: without room it may be dropped, and never costs the link. It leaves with the next `flush`, at the latest.
    func sendUnreliably(_ message: ByteBuffer)
    /// Lets go what `sendUnreliably` has been given: call it after the last of several.
    func flush()
    /// The peer has proved the secret. A server's link takes messages of full size, and as many as come, from then on;
    /// before that `SignalLinkLimits.maximumStrangerBytes` in `SignalLinkLimits.maximumStrangerMessages`.
    func peerProved()
    /// Sends what is pending, as far as the peer takes it within `SignalLinkLimits.closeTimeout`, and closes. `closed` succeeds
    /// when that is over; at once if it has begun before.
    func close(_ closed: EventLoopPromise<Void>?)
}

extension SignalLink {
    package func close() { self.close(nil) }
}

/// Who hears of a link's messages and of its end.
package protocol SignalLinkDelegate: AnyObject {
    /// One whole message arrived.
    func link(_ link: any SignalLink, received message: ByteBuffer)
    /// The link is gone, for a reason other than a call of `close()`. `error` is nil when the peer closed it in order.
    func linkClosed(_ link: any SignalLink, error: (any Error)?)
    /// One whole message arrived apart from the others: it may have overtaken them, and whatever is wrong with it, the
    /// link is not to blame.
    func link(_ link: any SignalLink, receivedUnreliable message: ByteBuffer)
    /// The link has room again.
    func linkBecameWritable(_ link: any SignalLink)
}

extension SignalLinkDelegate {
    package func link(_ link: any SignalLink, receivedUnreliable message: ByteBuffer) {}
    package func linkBecameWritable(_ link: any SignalLink) {}
}

/// What both transports agree on.
package enum SignalLinkLimits {
    /// The largest message, in bytes.
    package static let maximumMessageSize = 256 * 1024
    /// What a server takes in of a peer that has not proved the secret, in bytes and in messages. A `Hello` takes some
    /// hundred bytes, and is all that there is to say.
    package static let maximumStrangerBytes = 64 * 1024
    package static let maximumStrangerMessages = 16
    /// Messages that may wait for somebody to take them.
    package static let maximumWaitingMessages = 64
    /// How much a peer may leave unread before the link is closed, in bytes.
    package static let maximumPendingBytes = 1024 * 1024
    /// A link has no room for what may be lost while more than the high mark waits in the process, until it is less than
    /// the low mark, in bytes. Little, since what waits delays everything behind it: at 1 Mbit/s 16 KiB take 0.13 s.
    package static let roomMarks = (high: 16 * 1024, low: 8 * 1024)
    /// What a TCP socket may hold unsent in the kernel, in bytes (`TCP_NOTSENT_LOWAT`): the same, one layer below.
    package static let maximumUnsentInKernel = 16 * 1024
    /// How long a closing link waits for the peer to take what is pending.
    package static let closeTimeout = TimeAmount.seconds(1)
    /// The ALPN of signalling over QUIC.
    package static let quicApplicationProtocol = "rtun/1"
}

/// Why a link ended or a message could not be sent.
package enum SignalLinkError: Error, Hashable, CustomStringConvertible {
    /// The peer sent a message larger than the limit.
    case messageTooLarge
    /// The peer sent something that is not of this transport's framing.
    case framing(String)
    /// The peer does not read: too much is waiting for it.
    case peerNotReading(pendingBytes: Int)
    /// The connection ended without the transport's own farewell: the process or the network died.
    case truncated

    package var description: String {
        switch self {
        case .messageTooLarge:
            "a message of more than \(SignalLinkLimits.maximumMessageSize) bytes arrived"
        case .framing(let problem):
            "the peer broke the framing: \(problem)"
        case .peerNotReading(let pendingBytes):
            "the peer does not read: \(pendingBytes) bytes are waiting for it"
        case .truncated:
            "the connection ended without a farewell"
        }
    }
}
