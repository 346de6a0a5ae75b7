import AppProto
import Basics
import CommandSupport
import FileWatch
import LibC
import Logging
import NIOCore
import NIOPosix
import Signaling
import TLS

/// A running server: start it, reload its certificate and secrets, stop it. Its work is done on one event loop.
final class Server: Sendable {
    /// The parts, all of which live on the event loop.
    final class Parts {
        let eventLoop: any EventLoop
        let service: SignalService
        let tcp: TCPListener
        let udp: UDPListener
        let stun: STUNListener
        let certificates: FileReloader<Identity>?
        let secrets: FileReloader<AcceptedSecrets>?
        let authorizedKeys: FileReloader<AuthorizedKeys>?
        let certificateWatch: CertificateWatch?
        private(set) var reports: RepeatedTask?

        /// What was in the files at the start.
        struct Loaded: Sendable {
            let identity: Identity
            var keys: AuthorizedKeys?
            /// From before they were read; nil where there are none, or when that does not matter.
            var certificateStamp: FileStamp?
            var keyStamp: FileStamp?
        }

        init(
            _ configuration: ServerConfiguration, _ loaded: Loaded, eventLoop: any EventLoop
        ) throws {
            let identity = loaded.identity
            let tlsContext = try configuration.certificate.map { _ in try TLSContext.server(identity: identity) }
            let service = SignalService(
                eventLoop: eventLoop, secrets: configuration.secrets, ownKey: configuration.ownKey,
                software: Software.identifier("rtun-server"),
                limits: configuration.limits, bridge: configuration.bridge, keys: loaded.keys,
                logger: configuration.logger)
            let strangers = Strangers(limit: configuration.limits.strangers)
            let tcp = TCPListener(
                eventLoop: eventLoop, service: service, limits: configuration.limits, strangers: strangers,
                trustedProxies: configuration.trustedProxies, tlsContext: tlsContext, logger: configuration.logger)
            let udp = UDPListener(
                eventLoop: eventLoop, service: service, limits: configuration.limits, strangers: strangers,
                identity: identity,
                statelessResetKey: (configuration.ownKey ?? configuration.secrets.serverKey).statelessResetKey,
                congestionControl: configuration.congestionControl)
            self.eventLoop = eventLoop
            self.service = service
            self.tcp = tcp
            self.udp = udp
            self.stun = STUNListener(eventLoop: eventLoop)
            let watch = configuration.servedCertificate.map { files in
                CertificateWatch(
                    file: files.certificate, identity: identity, eventLoop: eventLoop, logger: configuration.logger)
            }
            self.certificateWatch = watch
            let usesTLS = configuration.certificate != nil
            self.certificates = configuration.servedCertificate.map { files in
                .certificate(
                    files, loaded: loaded.certificateStamp, eventLoop: eventLoop, logger: configuration.logger
                ) { identity in
                    if usesTLS { tcp.tlsContext = try TLSContext.server(identity: identity) }
                    try udp.replaceIdentity(identity)
                    watch?.changed(to: identity)
                }
            }
            self.secrets = configuration.watchedSecrets.map { watched in
                .secrets(watched, eventLoop: eventLoop, logger: configuration.logger) { service.change(to: $0) }
            }
            // A pipe is empty the second time.
            self.authorizedKeys = configuration.authorizedKeys.flatMap { file in
                guard FileAccess.isRegular(file.path) else { return nil }
                return .authorizedKeys(
                    file, loaded: loaded.keyStamp, eventLoop: eventLoop, logger: configuration.logger
                ) { service.change(to: $0) }
            }
        }

        /// Has statistics written to the log again and again.
        func startReports(every interval: TimeAmount) {
            let service = NIOLoopBound(self.service, eventLoop: self.eventLoop)
            self.reports = self.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                service.value.report()
            }
        }
    }

    /// How often another port is tried when the system's choice for TCP is taken for UDP.
    static let portAttempts = 16

    private let eventLoop: any EventLoop
    let parts: NIOLoopBound<Parts>
    private let listening: [any Channel]
    /// The port that TCP and UDP listen on.
    let port: Int
    /// What the server is reached by: the addresses with their real ports.
    let listeningSchemes: [(scheme: String, address: String)]

    private init(
        eventLoop: any EventLoop, configuration: ServerConfiguration, parts: NIOLoopBound<Parts>,
        listening: [any Channel], address: SocketAddress
    ) {
        let announced = configuration.address.announced(as: address)
        self.eventLoop = eventLoop
        self.parts = parts
        self.listening = listening
        self.port = address.port ?? 0
        self.listeningSchemes = [(configuration.certificate == nil ? "http" : "https", announced), ("quic", announced)]
    }

    /// Listens and serves. Throws ``ProgramError`` when an address or a file cannot be used.
    static func start(_ configuration: ServerConfiguration, on eventLoop: any EventLoop) async throws -> Server {
        let certificateStamp = configuration.servedCertificate.flatMap { FileStamp(of: $0.paths) }
        let keyStamp = configuration.authorizedKeys.flatMap { FileStamp(of: [$0.path]) }
        let identity = try configuration.servedCertificate?.load() ?? Identity.selfSigned(commonName: "rtun-server")
        let keys = try configuration.authorizedKeys?.load()
        let loaded = Parts.Loaded(
            identity: identity, keys: keys, certificateStamp: certificateStamp, keyStamp: keyStamp)
        let addresses = try configuration.address.resolve()
        let parts = try await eventLoop.submit {
            NIOLoopBound(
                try Parts(configuration, loaded, eventLoop: eventLoop), eventLoop: eventLoop)
        }.get()
        let listening = try await Self.listen(addresses, parts: parts, attempts: Self.portAttempts)
        let address = listening.first?.localAddress ?? addresses[0]
        let answering: [any Channel]
        do {
            let stun = try await Self.listenForSTUN(
                configuration.stun,
                beside: Set(listening.compactMap(\.localAddress)).sorted { $0.authority > $1.authority },
                isFree: configuration.address.port == 0, parts: parts, logger: configuration.logger)
            answering = stun.channels
            try await eventLoop.submit {
                parts.value.service.greeting.stunServers = stun.announced
                parts.value.certificates?.start()
                parts.value.secrets?.start()
                parts.value.authorizedKeys?.start()
                Self.sayStarted(configuration, identity, address, stun.announced)
                if let file = configuration.authorizedKeys, let keys {
                    FileAccess.warn(ofWritersOf: file.path, holding: "authorized keys")
                    configuration.logger.info("only listed keys get in", metadata: keys.metadata("keys.loaded", file))
                }
                parts.value.certificateWatch?.start()
                if let interval = configuration.statisticsInterval { parts.value.startReports(every: interval) }
            }.get()
        } catch {
            for channel in listening { try? await channel.close() }
            throw error
        }
        return Server(
            eventLoop: eventLoop, configuration: configuration, parts: parts, listening: listening + answering,
            address: address)
    }

    /// Listens for TCP and UDP, with the same port number, on each address that can be had. The first one's TCP channel
    /// comes first.
    private static func listen(
        _ addresses: [SocketAddress], parts: NIOLoopBound<Parts>, attempts: Int
    ) async throws -> [any Channel] {
        var channels: [any Channel] = []
        for address in addresses {
            let current = address.with(port: channels.first?.localAddress?.port ?? address.port ?? 0)
            do {
                let tcp = try await Self.bind(current, parts) { $0.tcp.bind(to: $1) }
                channels.append(tcp)
                let port = tcp.localAddress?.port ?? 0
                channels.append(try await Self.bind(current.with(port: port), parts) { $0.udp.bind(to: $1) })
            } catch {
                let isLast = address == addresses.last
                if ListenAddress.lacksFamily(error), !isLast || !channels.isEmpty { continue }
                for channel in channels { try? await channel.close() }
                // The system's choice for TCP may be taken for UDP, and that for one family for the other.
                if address.port == 0, attempts > 1, (error as? IOError)?.errnoCode == EADDRINUSE {
                    return try await Self.listen(addresses, parts: parts, attempts: attempts - 1)
                }
                throw Self.bindError(error, on: current)
            }
        }
        return channels
    }

    static func bind(
        _ address: SocketAddress, _ parts: NIOLoopBound<Parts>,
        _ bind: @escaping @Sendable (Parts, SocketAddress) -> EventLoopFuture<any Channel>
    ) async throws -> any Channel {
        try await parts.eventLoop.flatSubmit { bind(parts.value, address) }.get()
    }

    static func bindError(_ error: any Error, on address: SocketAddress) -> ProgramError {
        ListenAddress.error(error, on: address.authority, port: UInt16(clamping: address.port ?? 0))
    }

    /// Returns when the server listens no more on one of its sockets, TCP or UDP: without it, it is half a server.
    func closed() async {
        let first = self.eventLoop.makePromise(of: Void.self)
        // Only the first completion counts.
        for channel in self.listening { channel.closeFuture.cascade(to: first) }
        try? await first.futureResult.get()
    }

    /// Loads the certificate, the secrets and the authorized keys anew, as far as they are in files.
    func reloadFiles() async {
        try? await self.eventLoop.flatSubmit { [parts] in
            let loading = [
                parts.value.certificates?.reload(), parts.value.secrets?.reload(), parts.value.authorizedKeys?.reload(),
            ].compactMap(\.self)
            return EventLoopFuture.andAllComplete(loading, on: parts.eventLoop)
        }.get()
    }

    /// Takes over what can change while the server runs: the bridge's rates, and which proxies are believed.
    func change(to configuration: ServerConfiguration) async {
        try? await self.eventLoop.submit { [parts] in
            parts.value.tcp.trustedProxies = configuration.trustedProxies
            if let limits = configuration.bridge { parts.value.service.changeBridge(to: limits) }
        }.get()
    }

    /// Writes statistics to the log.
    func report() async {
        try? await self.eventLoop.submit { [parts] in parts.value.service.report() }.get()
    }

    /// Stops accepting, says goodbye to all sessions and returns when all connections have closed, within 2 s.
    func stop() async {
        try? await self.eventLoop.flatSubmit { [parts] in
            let parts = parts.value
            parts.certificates?.stop()
            parts.secrets?.stop()
            parts.authorizedKeys?.stop()
            parts.certificateWatch?.stop()
            parts.reports?.cancel()
            parts.tcp.stopAccepting()
            parts.service.stop()
            let limit = 2 * SignalLinkLimits.closeTimeout
            return parts.tcp.drained(within: limit).and(parts.udp.drained(within: limit)).map { _ in }
        }.get()
        try? await self.eventLoop.submit { [parts] in
            parts.value.udp.close()
            parts.value.stun.close()
        }.get()
    }
}
