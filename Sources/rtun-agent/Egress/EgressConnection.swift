import AppProto
import Basics
import FlowLedger
import Logging
import NameResolution
import NIOCore
import Signaling
import Tunnel

/// One connection to a target on behalf of a client: from the client's wish to the splice with its stream.
///
/// Belongs to the stream's event loop; kept alive by what it waits for.
final class EgressConnection {
    private enum State {
        /// The channels are those of the attempts under way: several addresses may race.
        case dialing(attempts: [any Channel])
        case cancelled
        case done
    }

    private let request: TunnelRequest
    private let eventLoop: any EventLoop
    private let dialer: EgressDialer
    private let watch: ConnectionWatch
    private let logger: Logger
    private var state = State.dialing(attempts: [])
    private var lookup: NameLookup?

    private let owner: ObjectIdentifier
    private let connected: (StreamSplice, SocketAddress?) -> Void
    private let ended: (End) -> Void

    /// How it ended.
    enum End {
        /// With the connection to the target, or when nobody waited for that any more.
        case closed
        case reset
        case cancelled
        case failed(DialFailure)

        /// As the ledger has it.
        var outcome: FlowOutcome {
            switch self {
            case .closed: .closed
            case .reset: .reset
            case .cancelled: .cancelled
            case .failed(let failure): FlowOutcome(failure.code)
            }
        }
    }

    /// - Parameters:
    ///   - owner: for whom names are looked up.
    ///   - connected: called once there is a connection, with what tells how much has passed, and the target's address.
    ///   - ended: called once, when all is over.
    init(
        request: TunnelRequest, owner: ObjectIdentifier, eventLoop: any EventLoop, dialer: EgressDialer,
        watch: ConnectionWatch, logger: Logger,
        connected: @escaping (StreamSplice, SocketAddress?) -> Void, ended: @escaping (End) -> Void
    ) {
        self.request = request
        self.eventLoop = eventLoop
        self.owner = owner
        self.dialer = dialer
        self.connected = connected
        self.ended = ended
        self.watch = watch
        self.logger = logger
    }

    /// Dials the target and answers the client.
    func open() {
        self.request.cancelled = { [weak self] in self?.cancel() }
        let connection = NIOLoopBound(self, eventLoop: self.eventLoop)
        let attempt = self.dialer.connect(
            to: self.request.target, for: self.owner, on: self.eventLoop
        ) { channel in
            connection.value.attemptStarted(channel)
        }
        self.lookup = attempt.lookup
        attempt.channel.assumeIsolated().whenComplete { result in
            self.lookup = nil
            switch result {
            case .success(let channel): self.dialed(channel)
            case .failure(let error): self.failed(DialFailure(error))
            }
        }
    }

    private func attemptStarted(_ channel: any Channel) -> EventLoopFuture<Void> {
        switch self.state {
        case .dialing(let attempts):
            self.state = .dialing(attempts: attempts + [channel])
            return channel.eventLoop.makeSucceededVoidFuture()
        case .cancelled, .done:
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
    }

    /// The client has given up: attempts under way end with an error, which ends this connection.
    private func cancel() {
        guard case .dialing(let attempts) = self.state else { return }
        self.state = .cancelled
        self.lookup?.cancel()
        for channel in attempts {
            channel.close(promise: nil)
        }
    }

    private func dialed(_ channel: any Channel) {
        self.state = .done
        guard let stream = self.request.accept(boundAddress: channel.localAddress) else {
            channel.close(promise: nil)
            self.ended(.cancelled)
            return
        }
        let opened = self.eventLoop.now
        self.log("flow opened", event: "flow.opened", ["remote": "\(channel.remoteAddress?.authority ?? "unknown")"])
        let splice = StreamSplice(stream: stream, watch: self.watch) { summary in
            self.ended(summary.wasReset ? .reset : .closed)
            self.log(
                "flow closed", event: "flow.closed",
                [
                    "sent": .stringConvertible(summary.bytesReceived),
                    "received": .stringConvertible(summary.bytesSent),
                    "reset": .stringConvertible(summary.wasReset),
                    "seconds": .stringConvertible((self.eventLoop.now - opened).nanoseconds / 1_000_000_000),
                ])
        }
        do {
            try channel.pipeline.syncOperations.addHandler(splice)
            self.connected(splice, channel.remoteAddress)
        } catch {
            // The target closed the connection within this turn of the loop; the splice has not taken over the stream.
            stream.abandon(.connectionReset)
            channel.close(promise: nil)
            self.ended(.reset)
        }
    }

    private func failed(_ failure: DialFailure) {
        let wasCancelled = if case .cancelled = self.state { true } else { false }
        self.state = .done
        self.ended(wasCancelled ? .cancelled : .failed(failure))
        self.log(
            "target not connected", event: "flow.refused", ["code": "\(failure.code)", "reason": "\(failure.reason)"])
        self.request.refuse(failure.code, reason: failure.reason)
    }

    private func log(_ message: Logger.Message, event: String, _ metadata: Logger.Metadata) {
        self.logger.debug(
            message,
            metadata: metadata.merging(
                [
                    "event": "\(event)", "target": "\(self.request.target.host)",
                    "port": .stringConvertible(self.request.target.port),
                ]
            ) { own, _ in own })
    }
}

@available(*, unavailable)
extension EgressConnection: Sendable {}
