import AppProto
import Basics
import Crypto
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOTLS
import NIOWebSocket
import NameResolution
import OperatingSystem
import TLS

/// Opens control connections over WebSocket: TCP to the fastest of the host's addresses (RFC 8305), TLS for `https`, and the
/// upgrade of an HTTP/1.1 request (RFC 6455 §4.1).
struct WebSocketConnector: SignalConnector {
    let url: ServerURL
    let path: String
    let software: String
    /// nil for `http`.
    let tlsContext: TLSContext?
    /// What the server's certificate is for: mostly the URL's host.
    let certificateName: String

    func connect(
        on eventLoop: any EventLoop, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void
    ) {
        ClientBootstrap(group: eventLoop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(SignalConnectError.stepTimeout)
            .resolver(NameResolver.shared.lookUp(self.url.host, port: self.url.port, on: eventLoop))
            .connect(host: self.url.host, port: Int(self.url.port))
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    self.upgrade(channel, completion: completion)
                case .failure(let error):
                    WebSocketUpgradeAttempt(url: self.url, completion: completion).connectFailed(error)
                }
            }
    }

    private var requestHead: HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: self.path)
        head.headers.add(name: "Host", value: self.hostHeader)
        head.headers.add(name: "User-Agent", value: self.software)
        return head
    }

    /// RFC 9110 §7.2: the default port is left out.
    private var hostHeader: String {
        let host = self.url.hostIsIPv6 ? "[\(self.url.host)]" : self.url.host
        return self.url.port == self.url.scheme.defaultPort ? host : self.url.authority
    }

    /// Goes on with a channel that is connected. Nothing has been read yet: the server speaks last in TLS and in HTTP.
    func upgrade(
        _ channel: any Channel, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void
    ) {
        let attempt = WebSocketUpgradeAttempt(url: self.url, completion: completion)
        do {
            try self.addHandlers(to: channel.pipeline.syncOperations, attempt)
        } catch {
            channel.close(promise: nil)
            attempt.failed(.disconnected("\(error)"))
        }
    }

    /// The pipeline up to the upgrade.
    private func addHandlers(
        to pipeline: ChannelPipeline.SynchronousOperations, _ attempt: WebSocketUpgradeAttempt
    ) throws {
        let requester = WebSocketUpgradeRequester(head: self.requestHead, usesTLS: self.tlsContext != nil, attempt)
        let bound = NIOLoopBound(requester, eventLoop: pipeline.eventLoop)
        let upgrader = NIOWebSocketClientUpgrader(
            maxFrameSize: SignalLinkLimits.maximumMessageSize, automaticErrorHandling: false
        ) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                // The requester understands HTTP only, and early frames may come next.
                let requester = bound.value
                channel.pipeline.syncOperations.removeHandler(requester, promise: nil)
                let link = WebSocketLink(side: .client, eventLoop: channel.eventLoop)
                try channel.pipeline.syncOperations.addHandler(link)
                requester.attempt.succeeded(link)
            }
        }
        if let tlsContext = self.tlsContext {
            try pipeline.addHandler(TLSHandler(context: tlsContext, serverName: self.serverName))
        } else {
            try pipeline.addHandler(TLSAlertDetector())
        }
        try pipeline.addHTTPClientHandlers(
            leftOverBytesStrategy: .forwardBytes,
            withClientUpgrade: (upgraders: [upgrader], completionHandler: { _ in }))
        try pipeline.addHandler(requester)
    }

    /// RFC 6066 §3: addresses are no server names.
    private var serverName: String? {
        IPAddress(parsing: self.certificateName) == nil ? self.certificateName : nil
    }
}

/// One call of `connect`: makes sure that it is answered once.
private final class WebSocketUpgradeAttempt {
    let url: ServerURL
    private var completion: ((Result<any SignalLink, SignalConnectError>) -> Void)?

    init(url: ServerURL, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void) {
        self.url = url
        self.completion = completion
    }

    func succeeded(_ link: WebSocketLink) {
        guard let completion = self.completion else { return link.close() }
        self.completion = nil
        completion(.success(link))
    }

    func failed(_ error: SignalConnectError) {
        let completion = self.completion
        self.completion = nil
        completion?(.failure(error))
    }

    func connectFailed(_ error: any Error) {
        self.failed(self.words(for: error))
    }

    private func words(for error: any Error) -> SignalConnectError {
        switch error {
        case let error as NIOConnectionError:
            guard !error.connectionErrors.isEmpty else {
                let reason = error.dnsAError ?? error.dnsAAAAError ?? NameLookupError.notFound
                return .unresolved(host: self.url.host, reason: "\(reason)")
            }
            return .unreachable(
                error.connectionErrors.map {
                    SignalConnectError.Attempt(address: $0.target.authority, reason: Self.reason($0.error))
                })
        case ChannelError.connectTimeout:
            return .timedOut(.connection)
        default:
            return .unreachable([
                SignalConnectError.Attempt(address: self.url.authority, reason: Self.reason(error))
            ])
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case ChannelError.connectTimeout: "no answer"
        default: SystemError.text(of: error)
        }
    }
}

/// Sends the request for the upgrade and hears what goes wrong. NIO's upgrader answers for the rest.
private final class WebSocketUpgradeRequester: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let head: HTTPRequestHead
    let attempt: WebSocketUpgradeAttempt
    private var phase: SignalConnectError.Phase
    /// Whether anything of an answer has come.
    private var hasReceived = false
    private var timer: Scheduled<Void>?

    init(head: HTTPRequestHead, usesTLS: Bool, _ attempt: WebSocketUpgradeAttempt) {
        self.head = head
        self.attempt = attempt
        self.phase = usesTLS ? .tls : .upgrade
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.start(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
    }

    private func start(_ context: ChannelHandlerContext) {
        self.armTimer(context)
        if self.phase == .upgrade {
            self.sendRequest(context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event, self.phase == .tls {
            self.phase = .upgrade
            self.armTimer(context)
            self.sendRequest(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func sendRequest(_ context: ChannelHandlerContext) {
        context.write(self.wrapOutboundOut(.head(self.head)), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    private func armTimer(_ context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: SignalConnectError.stepTimeout) {
            self.fail(.timedOut(self.phase), context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.hasReceived = true
        // Only a response that is no upgrade comes this far.
        if case .head(let response) = self.unwrapInboundIn(data) {
            self.fail(
                .upgradeRefused(
                    status: response.status.code, reason: response.status.reasonPhrase, path: self.head.uri),
                context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if self.attempt.url.scheme == .http, !self.hasReceived {
            self.fail(
                self.wrongScheme("the server closed the connection without an answer, as a port that expects TLS does"),
                context)
        } else {
            self.fail(.disconnected("the server closed it while we waited for \(self.phase.rawValue)"), context)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.fail(self.words(for: error), context)
    }

    private func words(for error: any Error) -> SignalConnectError {
        switch error {
        case TLSError.certificateRejected(let rejection):
            .untrusted(rejection, scheme: self.attempt.url.scheme)
        case TLSError.handshakeFailed(let errors) where errors.saysNotTLS:
            self.wrongScheme("the port answers, but not with TLS (\(errors))")
        case is TLSAlertDetector.SpeaksTLS:
            self.wrongScheme("the port expects TLS")
        case let error as TLSError:
            .secureChannel("\(error)")
        case let error as IOError:
            .disconnected(SystemError.text(of: error))
        case let error as NIOHTTPClientUpgradeError:
            .notAServer("its answer to the WebSocket upgrade is wrong: \(error)")
        case let error as HTTPParserError:
            .notAServer("its answer is not HTTP: \(error)")
        default:
            .disconnected("\(error)")
        }
    }

    /// The port speaks the other one of http and https.
    private func wrongScheme(_ detail: String) -> SignalConnectError {
        let url = self.attempt.url
        let other: ServerURL.Scheme = url.scheme == .http ? .https : .http
        return .wrongScheme(
            detail, url: ServerURL(scheme: other, host: url.host, port: url.port, prefix: url.prefix))
    }

    private func fail(_ error: SignalConnectError, _ context: ChannelHandlerContext) {
        self.attempt.failed(error)
        context.close(promise: nil)
    }
}

extension OpenSSLErrors {
    /// Whether what arrived was no TLS at all: OpenSSL reads a version out of the first bytes of whatever comes.
    fileprivate var saysNotTLS: Bool {
        ["wrong version number", "http request", "packet length too long"].contains { self.description.includes($0) }
    }
}

/// Looks whether the first thing that a supposedly plain port says is a TLS alert (RFC 8446 §5.1), then leaves.
private final class TLSAlertDetector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    struct SpeaksTLS: Error {}

    /// The content type `alert`.
    private static let alert: UInt8 = 21

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = self.unwrapInboundIn(data)
        if bytes.getInteger(at: bytes.readerIndex) == Self.alert {
            context.fireErrorCaught(SpeaksTLS())
        } else {
            context.fireChannelRead(data)
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
