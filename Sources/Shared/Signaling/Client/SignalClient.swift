package import AppProto
package import HostNetwork
package import Logging
package import NIOCore
package import TLS

/// Keeps the control connection of an agent or a client up: connects, proves the secret, and connects again when it is lost.
///
/// Safe to use from anywhere; the work happens on `eventLoop`, where the delegate is called.
package final class SignalClient: Sendable {
    /// Where everything happens. An event loop of NIOPosix.
    package let eventLoop: any EventLoop
    package let configuration: SignalClientConfiguration
    private let core: NIOLoopBoundBox<SignalClientCore>
    private let inbox = BridgeInbox()

    /// Checks what can be checked before the first attempt: throws a `TLSError` when the file of authorities is unusable.
    ///
    /// - Parameter addressMonitor: who tells of changes of this machine's addresses, after which a connection that cannot
    ///   work any more is given up at once; nil: nobody does.
    package convenience init(
        configuration: SignalClientConfiguration, eventLoop: any EventLoop, addressMonitor: AddressMonitor? = nil,
        logger: Logger
    ) throws(TLSError) {
        self.init(
            configuration: configuration, connector: try configuration.connector(), eventLoop: eventLoop,
            addressMonitor: addressMonitor, logger: logger)
    }

    init(
        configuration: SignalClientConfiguration, connector: any SignalConnector & Sendable, eventLoop: any EventLoop,
        addressMonitor: AddressMonitor? = nil, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        self.core = .makeBoxSendingValue(
            SignalClientCore(
                configuration: configuration, connector: connector, eventLoop: eventLoop, logger: logger,
                addressMonitor: addressMonitor),
            eventLoop: eventLoop)
    }

    /// Sets who hears of everything; held until `run()` returns. On the event loop, before `run()`.
    package func setDelegate(_ delegate: any SignalClientDelegate) {
        self.core.value.delegate = delegate
    }

    /// Keeps the connection up until there is no point in it any more; call once. Network trouble, a server that is away and a
    /// certificate that is not trusted do not end it. Cancelling the task stops it.
    package func run() async -> SignalTerminal {
        let promise = self.eventLoop.makePromise(of: SignalTerminal.self)
        self.eventLoop.execute {
            self.core.value.start(promise)
        }
        return await withTaskCancellationHandler {
            do {
                return try await promise.futureResult.get()
            } catch {
                return .stopped  // The event loop was shut down.
            }
        } onCancel: {
            self.stop()
        }
    }

    /// Says goodbye and lets `run()` return `.stopped`.
    package func stop() {
        self.eventLoop.execute {
            self.core.value.stop()
        }
    }

    /// Says goodbye and lets `run()` return `terminal`: something has been found out that leaves no point in going on.
    package func end(_ terminal: SignalTerminal) {
        self.eventLoop.execute {
            self.core.value.stop(terminal)
        }
    }

    /// As `stop`; returns once the goodbye has left, so that the program may end.
    package func stopAndWait() async {
        try? await self.eventLoop.flatSubmit { self.core.value.stop() }.get()
    }

    /// Sends a request to the server. Fails with `SignalError`; without a connection at once.
    package func request(_ body: Envelope.Body, timeout: TimeAmount = .seconds(10)) -> EventLoopFuture<Envelope.Body> {
        if self.eventLoop.inEventLoop {
            return self.core.value.request(body, timeout: timeout)
        }
        return self.eventLoop.flatSubmit {
            self.core.value.request(body, timeout: timeout)
        }
    }

    /// Sends an event to the server; without a connection it is dropped.
    package func sendEvent(_ body: Envelope.Body) {
        if self.eventLoop.inEventLoop {
            self.core.value.sendEvent(body)
        } else {
            self.eventLoop.execute {
                self.core.value.sendEvent(body)
            }
        }
    }

    /// Sends datagrams of a peer channel by way of the server, from any event loop. They may get lost: nothing waits long
    /// for room on the connection, and without one, or when the server does not bridge (`Welcome.bridge`), all are dropped.
    /// What comes from the other peer is told to the delegate as an event.
    ///
    /// Keep nothing alive in `bridge.datagrams` that is used again.
    package func sendBridge(_ bridge: Bridge) {
        if self.eventLoop.inEventLoop {
            self.core.value.sendBridge(bridge)
        } else if self.inbox.add(bridge) {
            self.eventLoop.execute {
                for bridge in self.inbox.takeAll() { self.core.value.sendBridge(bridge) }
            }
        }
    }

    /// What has become of it so far. On the event loop.
    package var bridgeStatistics: BridgeStatistics {
        var statistics = self.core.value.bridgeStatistics
        statistics.droppedFull += self.inbox.dropped
        return statistics
    }

    /// Writes a line of statistics of the bridge to the log, once there is something to say. From any event loop.
    package func reportBridge() {
        self.eventLoop.execute {
            let statistics = self.bridgeStatistics
            guard statistics != BridgeStatistics() else { return }
            self.core.value.logger.info("bridge statistics", metadata: statistics.metadata)
        }
    }

    /// What is known of the connection; nil while there is none. On the event loop.
    package var session: SignalSession? {
        self.core.value.session
    }
}

extension SignalClientConfiguration {
    /// Throws when the file of authorities is unusable, which is else found out by a client's `init`.
    package func check() throws(TLSError) { _ = try self.connector() }

    /// What opens the connections. Throws when the file of authorities is unusable.
    func connector() throws(TLSError) -> any SignalConnector & Sendable {
        // The context also shows, for QUIC, that the file of authorities can be used.
        let tlsContext = self.server.isPlain ? nil : try TLSContext.client(verification: self.verification)
        var runners: [TransportRace.Runner] = []
        for url in self.server.endpoints {
            runners.append(TransportRace.Runner(scheme: url.scheme, connector: self.connector(to: url, tlsContext)))
        }
        return runners.count == 1 ? runners[0].connector : TransportRace(runners)
    }

    private func connector(to url: ServerURL, _ tlsContext: TLSContext?) -> any SignalConnector & Sendable {
        switch url.scheme {
        case .quic:
            QUICConnector(url: url, verification: self.verification, congestionControl: self.congestionControl)
        case .https, .http:
            WebSocketConnector(
                url: url, path: url.webSocketPath(for: self.role.inMessages), software: self.software,
                tlsContext: tlsContext, certificateName: self.server.certificateName)
        }
    }

    private var verification: PeerVerification {
        if let pin = self.server.pin { return .publicKey(pin) }
        return self.isInsecure
            ? .insecure
            : .certificateAuthorities(
                file: self.certificateAuthorityFile, serverName: self.server.certificateName)
    }
}
