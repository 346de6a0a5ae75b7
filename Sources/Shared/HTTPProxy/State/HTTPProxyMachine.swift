package import Basics
import DequeModule
package import NIOCore

/// The proxy's side of one client's HTTP connection: requests in absolute form and CONNECT (RFC 9110, RFC 9112), one after
/// the other. No I/O.
///
/// Tell it what happens, and perform what ``nextAction()`` returns until that is nothing. Every message is read as a whole and
/// written anew, so that what is passed on can be read in one way only; a request that cannot is answered, a response that
/// cannot is replaced by 502. Requests that come early wait in here until those before them are answered: nothing is
/// to be read from the client unless ``wantsInput``.
///
/// A target's connection is kept for the client's next request, for that client only: servers may tie a login to it.
package struct HTTPProxyMachine {
    /// What goes for all requests of a connection.
    package struct Configuration {
        /// Whether a password is a user's; nil when everybody may come in.
        var accepts: ((_ user: [UInt8], _ password: [UInt8]) -> Bool)?
        /// What servers are told of the client, if anything.
        var announcement: HTTPAnnouncement?

        package init(
            accepts: ((_ user: [UInt8], _ password: [UInt8]) -> Bool)? = nil, announcement: HTTPAnnouncement? = nil
        ) {
            self.accepts = accepts
            self.announcement = announcement
        }
    }

    /// What the caller does next.
    package enum Action {
        /// Connect to a server, and tell ``targetConnected()`` or ``targetFailed(_:)``. There is no connection at this time.
        case connect(Target)
        /// The same for CONNECT, where ``targetConnected()`` is followed by `splice`.
        case tunnel(Target)
        case sendToTarget(ByteBuffer)
        case sendToClient(ByteBuffer)
        /// End the target's connection in good order. Nothing is told of it any more.
        case closeTarget
        /// Break it off.
        case resetTarget
        /// Glue client and target together, with what ``takeInput()`` and ``takeOutput()`` have of either. The machine is done.
        case splice
        /// Close the client's connection when it has everything. What it still sends is thrown away. The machine is done.
        case closeClient
        /// The same with a reset: what the client has is not the whole. The machine is done.
        case resetClient
        case tell(News)
    }

    /// What others may want to know.
    package enum News: Equatable {
        /// The client may use the proxy and has said for what.
        case requestCame
        /// The client is turned away, and is answered next.
        case turnedAway(HTTPRefusal)
        /// An answer is complete, and none is owed.
        case becameIdle
    }

    /// What is waited for from the client.
    package enum Wait: Equatable {
        case nothing
        /// A request which has begun, or is the first.
        case request
        /// A further request, if there will be one.
        case nextRequest
    }

    enum State {
        /// A request's head is awaited.
        case head(HTTPHeadReader)
        /// A server is connected to.
        case connecting(HTTPExchange)
        case exchanging(HTTPExchange)
        /// The target of a CONNECT is connected to.
        case tunnelling(HTTPRequest)
        case over
    }

    var state = State.head(HTTPHeadReader())
    let configuration: Configuration
    /// What the client has sent and nobody has read.
    var input = ByteBuffer()
    var isInputEnded = false
    /// Whether the client has been let in.
    var isAdmitted = false
    /// The user that the client proved to be with its last request; nil where nobody has to be one.
    package internal(set) var user: String?
    /// What the target has sent and nobody has read.
    var output = ByteBuffer()
    /// The target whose connection is kept for the next request.
    var idleTarget: Target?
    private var actions: Deque<Action> = []

    package init(_ configuration: Configuration) {
        self.configuration = configuration
    }

    /// What to do now; nil when there is nothing more. Actions are to be performed in their order.
    package mutating func nextAction() -> Action? { self.actions.popFirst() }

    /// Small pieces for the same end become one.
    mutating func perform(_ action: Action) {
        switch (self.actions.last, action) {
        case (.sendToTarget(let last), .sendToTarget(let next)) where Self.areSmall(last, next):
            self.actions.removeLast()
            self.actions.append(.sendToTarget(Self.joined(last, next)))
        case (.sendToClient(let last), .sendToClient(let next)) where Self.areSmall(last, next):
            self.actions.removeLast()
            self.actions.append(.sendToClient(Self.joined(last, next)))
        default:
            self.actions.append(action)
        }
    }

    private static func areSmall(_ first: ByteBuffer, _ second: ByteBuffer) -> Bool {
        first.readableBytes + second.readableBytes <= 16384
    }

    private static func joined(_ first: consuming ByteBuffer, _ second: ByteBuffer) -> ByteBuffer {
        first.writeImmutableBuffer(second)
        return first
    }

    /// Whether something is to be read from the client, as far as its requests are concerned.
    package var wantsInput: Bool {
        switch self.state {
        case .head: !self.isInputEnded
        case .exchanging(let exchange): !exchange.isUploaded && !self.isInputEnded
        case .connecting, .tunnelling: false
        case .over: true
        }
    }

    package var wait: Wait {
        guard case .head = self.state else { return .nothing }
        return self.isAdmitted && self.input.readableBytes == 0 ? .nextRequest : .request
    }

    /// What has come from the client and is not used; it is the other's after `splice`.
    package mutating func takeInput() -> ByteBuffer {
        defer { self.input = ByteBuffer() }
        return self.input
    }

    /// The same of the target.
    package mutating func takeOutput() -> ByteBuffer {
        defer { self.output = ByteBuffer() }
        return self.output
    }

    // MARK: The client

    /// The client has sent something.
    package mutating func received(_ bytes: ByteBuffer) {
        if case .over = self.state { return }
        self.input.append(bytes)
        self.advance()
    }

    /// The client sends no more. It may still want its answers.
    package mutating func clientEnded() {
        self.isInputEnded = true
        self.advance()
    }

    /// Goes on with what the client has sent.
    mutating func advance() {
        while case .head(let reader) = self.state {
            guard self.readHead(reader) else { break }
        }
        if case .exchanging(let exchange) = self.state, !exchange.isUploaded { self.readContent(exchange) }
    }

    // MARK: The end

    /// Nothing more is answered.
    mutating func close() {
        self.leave()
        self.perform(.closeClient)
    }

    mutating func resetClient() {
        self.leave()
        self.perform(.resetClient)
    }

    private mutating func leave() {
        self.state = .over
        self.input = ByteBuffer()
        self.dropIdleTarget()
    }

    mutating func dropIdleTarget() {
        guard self.idleTarget != nil else { return }
        self.idleTarget = nil
        self.closeTarget()
    }

    mutating func closeTarget() {
        self.output = ByteBuffer()
        self.perform(.closeTarget)
    }

    mutating func resetTarget() {
        self.output = ByteBuffer()
        self.perform(.resetTarget)
    }
}

/// Why a client was turned away.
package enum HTTPRefusal: Equatable, Sendable {
    case violation(HTTPViolation)
    case notForProxy
    case wrongLogin(user: String)
}

extension HTTPRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .violation(let violation): "an HTTP request that is refused: \(violation)"
        case .notForProxy: "an HTTP request that is not for a proxy"
        case .wrongLogin(let user): "wrong user or password (user \(String(reflecting: user)))"
        }
    }
}

extension ByteBuffer {
    /// Adds bytes; what is empty becomes them without a copy.
    mutating func append(_ bytes: ByteBuffer) {
        if self.readableBytes == 0 { self = bytes } else { self.writeImmutableBuffer(bytes) }
    }
}
