import Basics
import CommandSupport
import Logging
import NIOCore
import NIOHTTP1
import PlainHTTP

/// Answers what is asked at `--admin`. Belongs to its event loop.
final class AdminResponder {
    /// Connections at a time. One more, and the one that has been open longest is closed.
    private static let maximumConnections = 64

    private let program: String
    private let source: StatusSource
    private let access: AdminAccess
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let startedAt = UnixTime.milliseconds
    private let page: StatusPage
    private var history = TrafficHistory()
    /// The oldest first.
    private var connections: [any Channel] = []
    private var failureLog = LogRateLimiter(interval: .seconds(1))
    /// The program is about to end.
    var isStopping = false

    init(
        program: String, source: StatusSource, access: AdminAccess, eventLoop: any EventLoop, logger: Logger
    ) {
        self.program = program
        self.source = source
        self.access = access
        self.eventLoop = eventLoop
        self.logger = logger
        self.page = StatusPage(program: program, layout: source.layout)
    }

    /// Begins to take counts.
    func start() {
        self.takeCount()
        let responder = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleRepeatedTask(
            initialDelay: TrafficHistory.interval, delay: TrafficHistory.interval
        ) { _ in responder.value.takeCount() }
    }

    private func takeCount() {
        self.source.traffic().hop(to: self.eventLoop).assumeIsolated().whenSuccess { traffic in
            self.history.record(traffic, at: self.eventLoop.now)
        }
    }

    func connected(_ channel: any Channel) {
        if self.connections.count >= Self.maximumConnections { self.connections.removeFirst().close(promise: nil) }
        self.connections.append(channel)
        channel.closeFuture.assumeIsolated().whenComplete { _ in
            self.connections.removeAll { $0 === channel }
        }
    }

    /// Answers a request by calling `answer`, now or later.
    func respond(to head: HTTPRequestHead, from remote: SocketAddress?, _ answer: @escaping (PlainResponse) -> Void) {
        let software = Software.identifier(self.program)
        if let refusal = self.access.refusal(of: head) {
            if refusal.status == .unauthorized, head.headers.contains(name: "authorization") {
                self.tellWrongToken(remote)
            }
            return answer(refusal.guarded(program: software))
        }
        if let refusal = AdminRoute.refusal(of: head) { return answer(refusal.guarded(program: software)) }
        guard let route = AdminRoute(target: head.uri) else { return }
        switch route {
        case .page:
            answer(
                PlainResponse(status: .ok, contentType: "text/html; charset=utf-8", body: self.page.text)
                    .guarded(program: software, contentSecurityPolicy: self.page.contentSecurityPolicy))
        case .health:
            answer(PlainResponse(status: .ok, body: "ok\n").guarded(program: software))
        case .readiness, .document, .table, .metrics:
            self.source.status().hop(to: self.eventLoop).assumeIsolated().whenComplete { result in
                answer(self.response(to: route, result).guarded(program: software))
            }
        }
    }

    private func response(to route: AdminRoute, _ result: Result<any ProgramStatus, any Error>) -> PlainResponse {
        guard case .success(let status) = result else {
            return PlainResponse(status: .serviceUnavailable, body: "the program is stopping\n")
        }
        let readiness = self.isStopping ? .notReady("the program is stopping") : status.readiness
        if route == .readiness {
            switch readiness {
            case .ready: return PlainResponse(status: .ok, body: "ready\n")
            case .notReady(let reason):
                return PlainResponse(
                    status: .serviceUnavailable, body: LogText.escapingControlCharacters(reason) + "\n")
            }
        }
        let document = StatusDocument(
            program: self.program, status: status, readiness: readiness, process: .now(), startedAt: self.startedAt,
            history: self.history, rates: self.history.now(at: self.eventLoop.now))
        switch route {
        case .document:
            return PlainResponse(status: .ok, contentType: "application/json", body: document.json.text + "\n")
        case .metrics:
            return PlainResponse(status: .ok, contentType: Metrics.contentType, body: document.metrics.text)
        case .table, .page, .health, .readiness:
            let table = StatusTable(document: document.json, layout: self.source.layout)
            return PlainResponse(status: .ok, body: table.text)
        }
    }

    /// Somebody may be guessing. A browser that has not asked its user yet shows none.
    private func tellWrongToken(_ remote: SocketAddress?) {
        guard let count = self.failureLog.occurrences(at: self.eventLoop.now) else { return }
        self.logger.info(
            "login failed",
            metadata: [
                "event": "auth.failed", "method": "admin", "client": "\(remote?.ipAddress ?? "unix")",
                "count": .stringConvertible(count),
            ])
    }
}

@available(*, unavailable)
extension AdminResponder: Sendable {}
