import Basics
import ClientSupport
import CommandSupport
import Logging
import NIOCore
import PeerChannel
import PeerSupport
import SOCKS
import Signaling
import TLS
import TunnelClient

/// The proxy's parts, wired together.
struct SocksProxy {
    private let control: SignalClient
    private let proxy: ProxyOptions
    private let agents: AgentOptions
    private let peerConfiguration: PeerChannelConfiguration
    private let log: ProgramLog

    /// Makes the certificate that agents pin. Throws a `ProgramError` or `TLSError`.
    init(_ command: SocksCommand, control: SignalClient, endToEndSecret: Secret?, log: ProgramLog) throws {
        self.control = control
        self.proxy = command.proxy
        self.agents = command.agents
        self.log = log
        command.peers.watchInterfaces(on: control.eventLoop, logger: log.logger)
        self.peerConfiguration = try command.peers.configuration(
            commonName: "rtun client", endToEndSecret: endToEndSecret)
    }

    /// Serves until the system asks to stop. Throws a `ProgramError` when there is no point in going on.
    func run() async throws {
        let parts = try await self.start()
        try await ProgramLifecycle.run(
            logger: self.log.logger,
            endsOnHangup: { self.log.isOnTerminal },
            hangup: {
                self.log.reopen()
                if let new = ConfigurationReload.read(
                    SocksCommand.self, log: self.log, atRunTime: ProxyOptions.atRunTime)
                {
                    await self.change(to: new.command.proxy, parts)
                    if new.changed.contains("auth") { self.warn(of: new.command.proxy, parts) }
                }
            },
            drain: { await self.drain(parts) },
            body: {
                parts.readyLine.announce()
                if let error = await self.control.run().programError { throw error }
            })
        await self.close(parts)
    }

    // MARK: Start

    /// What lives on the event loop.
    private struct Parts: Sendable {
        let pool: NIOLoopBound<TunnelPool>
        let listener: NIOLoopBound<SOCKSListener>
        /// Clients can connect from then on, and are kept waiting until there is a tunnel.
        let readyLine: ReadyLine
        /// Where it listens, as others see it; nil when only this machine can get there.
        let openAddress: String?
    }

    /// Listens.
    private func start() async throws -> Parts {
        let eventLoop = self.control.eventLoop
        let pool = try await eventLoop.submit {
            let pool = TunnelPool(
                pattern: try self.agents.pattern(), configuration: self.peerConfiguration, signal: self.control,
                eventLoop: eventLoop, logger: self.log.logger)
            self.control.setDelegate(SignalFanout([NIOLoopBound(pool.channels, eventLoop: eventLoop)]))
            return NIOLoopBound(pool, eventLoop: eventLoop)
        }.get()

        let address = try self.proxy.address()
        let (listener, bound) = try await self.listen(address, for: pool)
        let local = address.announced(as: bound)
        let parts = Parts(
            pool: pool, listener: listener, readyLine: ReadyLine(program: SocksCommand.name, ["socks": local]),
            openAddress: bound.isLoopback ? nil : "\(local)")
        self.warn(of: self.proxy, parts)
        return parts
    }

    /// Says in the log when the proxy is open to others.
    private func warn(of proxy: ProxyOptions, _ parts: Parts) {
        guard let address = parts.openAddress, !proxy.credentials.isRequired else { return }
        self.log.logger.warning(
            "everybody who can reach this address can use the proxy: set --auth user:password",
            metadata: ["socks": "\(address)"])
    }

    /// Listens on the first of the addresses that can be had; the IPv6 wildcard takes IPv4 as well.
    private func listen(
        _ address: ListenAddress, for pool: NIOLoopBound<TunnelPool>
    ) async throws -> (NIOLoopBound<SOCKSListener>, SocketAddress) {
        let addresses = try address.resolve()
        for candidate in addresses {
            do {
                let eventLoop = self.control.eventLoop
                let listener = try await eventLoop.flatSubmit {
                    SOCKSListener.start(
                        on: candidate, maximumConnections: self.proxy.maximumConnections,
                        credentials: self.proxy.credentials, connector: pool.value, eventLoop: eventLoop,
                        logger: self.log.logger)
                }.get()
                let bound = try await eventLoop.submit { listener.value.localAddress }.get()
                return (listener, bound ?? candidate)
            } catch {
                guard ListenAddress.lacksFamily(error), candidate != addresses.last else { throw address.error(error) }
            }
        }
        throw ProgramError(.internalError, "nothing to listen on")
    }

    /// Goes by other options for clients that come from now on.
    private func change(to proxy: ProxyOptions, _ parts: Parts) async {
        try? await self.control.eventLoop.submit {
            parts.listener.value.change(
                credentials: proxy.credentials, maximumConnections: proxy.maximumConnections)
        }.get()
    }

    // MARK: Stop

    private func drain(_ parts: Parts) async {
        try? await self.control.eventLoop.flatSubmit { parts.listener.value.drain() }.get()
        await self.close(parts)
    }

    /// Tells agents and server, so that they need not find out by themselves.
    private func close(_ parts: Parts) async {
        try? await self.control.eventLoop.submit { parts.pool.value.close() }.get()
        await self.control.stopAndWait()
    }
}
