import Basics
import CommandSupport
package import Logging
package import NIOCore

/// Keeps the connections of all listening sockets to one limit. Belongs to one event loop.
///
/// Clients that are owed nothing make room: those that have not said yet what they want, and those that may ask for more and
/// do not. When places are short, the one goes that has been silent longest. So nobody holds all places by saying nothing. A
/// batch of accepts that has begun is finished, so that the limit may be exceeded by a few.
package final class ConnectionLimiter {
    /// Connections that are open.
    package private(set) var count = 0
    /// Clients that are owed nothing, in the order in which they fell silent.
    private var silent = SilentClients()
    /// The next look whether somebody has been silent for long enough.
    private var look: Scheduled<Void>?
    /// Whoever means well says what it wants within that; before, nobody makes room.
    private static let patience = TimeAmount.seconds(1)
    /// How many may be open at once. One that grows lets those in that wait.
    package var limit: Int {
        didSet { if self.count < self.limit { self.resume() } }
    }
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var rateLimiter = LogRateLimiter()
    /// What lets those in that wait, of each listening socket that holds some back.
    private var held: [ObjectIdentifier: () -> Void] = [:]
    private var isDraining = false
    private var onEmpty: [EventLoopPromise<Void>] = []

    package init(limit: Int, eventLoop: any EventLoop, logger: Logger) {
        self.limit = limit
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// Whether another client may come in; if not, `resume` is called when it may, once for each `gate`.
    func mayAccept(_ gate: ConnectionGate, resume: @escaping () -> Void) -> Bool {
        guard self.count >= self.limit, !self.isSomebodySilent else { return true }
        self.held[ObjectIdentifier(gate)] = resume
        self.armLook()
        if let occurrences = self.rateLimiter.occurrences(at: self.eventLoop.now) {
            self.logger.warning(
                "too many connections: new ones have to wait",
                metadata: ["limit": .stringConvertible(self.limit), "occurrences": .stringConvertible(occurrences)])
        }
        return false
    }

    /// A listening socket is gone.
    func forget(_ gate: ConnectionGate) { self.held[ObjectIdentifier(gate)] = nil }

    /// A client has come in.
    func accepted(_ channel: any Channel) {
        self.count += 1
        if self.count > self.limit, self.isSomebodySilent, let silent = self.silent.removeFirst() {
            self.logger.debug(
                "closing a silent client to make room",
                metadata: ["client": "\(silent.remoteAddress?.authority ?? "unknown")"])
            silent.close(promise: nil)
        }
        self.silent.add(channel, at: self.eventLoop.now)
        channel.closeFuture.hop(to: self.eventLoop).assumeIsolated().whenComplete { _ in
            self.silent.remove(channel)
            self.connectionClosed()
        }
    }

    /// A client has said what it wants, or is gone: it makes room for nobody.
    package func requestCame(from channel: any Channel) { self.silent.remove(channel) }

    /// A client has got all that it has asked for.
    package func becameIdle(_ channel: any Channel) {
        self.silent.add(channel, at: self.eventLoop.now)
        if self.isDraining { channel.close(promise: nil) }
    }

    /// Sends everybody away who is owed nothing. Succeeds once no connection is open.
    package func drain() -> EventLoopFuture<Void> {
        self.isDraining = true
        for channel in self.silent.all { channel.close(promise: nil) }
        let promise = self.eventLoop.makePromise(of: Void.self)
        if self.count == 0 { promise.succeed() } else { self.onEmpty.append(promise) }
        return promise.futureResult
    }

    /// Whether there is a client that has been silent for so long that it makes room.
    private var isSomebodySilent: Bool {
        self.silent.oldest.map { self.eventLoop.now - $0 >= Self.patience } ?? false
    }

    private func armLook() {
        guard self.look == nil, let oldest = self.silent.oldest else { return }
        self.look = self.eventLoop.assumeIsolated().scheduleTask(deadline: oldest + Self.patience) { [weak self] in
            guard let self else { return }
            self.look = nil
            self.resume()
        }
    }

    private func resume() {
        let held = self.held
        self.held = [:]
        for resume in held.values { resume() }
    }

    private func connectionClosed() {
        self.count -= 1
        if self.count < self.limit { self.resume() }
        guard self.count == 0 else { return }
        let promises = self.onEmpty
        self.onEmpty = []
        for promise in promises { promise.succeed() }
    }
}

@available(*, unavailable)
extension ConnectionLimiter: Sendable {}
