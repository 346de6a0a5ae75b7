import ClientSupport
import CommandSupport
import Logging
import NIOCore
import PeerChannel
import PeerSupport
import SOCKS
import Signaling
import TLS

/// The proxy's parts, wired together.
struct SocksProxy {
    private let control: ControlConnection
    private let proxy: ProxyOptions
    private let agents: AgentOptions
    private let peerConfiguration: PeerChannelConfiguration
    private let log: ProgramLog

    /// Makes the certificate that agents pin. Throws a `ProgramError` or `TLSError`.
    init(_ command: SocksCommand, control: ControlConnection, endToEndSecret: Secret?, log: ProgramLog) throws {
        self.control = control
        self.proxy = command.proxy
        self.agents = command.agents
        self.log = log
        self.peerConfiguration = try command.peers.configuration(
            commonName: "rtun client", endToEndSecret: endToEndSecret)
    }

    /// Serves until the system asks to stop. Throws a `ProgramError` when there is no point in going on.
    func run() async throws {
        let parts = try await self.start()
        try await ProgramLifecycle.run(
            logger: self.log.logger,
            hangup: { self.log.reopen() },
            drain: { await self.drain(parts) },
            body: {
                if let error = await self.control.client.run().programError { throw error }
            })
        await self.close(parts)
    }

    // MARK: Start

    /// What lives on the event loop.
    private struct Parts: Sendable {
        let pool: NIOLoopBound<TunnelPool>
        let listener: NIOLoopBound<SOCKSListener>
    }

    /// Listens, and says so: clients can connect from now on and are kept waiting until there is a tunnel.
    private func start() async throws -> Parts {
        let eventLoop = self.control.eventLoop
        let address = try self.resolve(self.proxy.address)
        let credentials = self.proxy.credentials
        let pool = try await eventLoop.submit {
            let pool = TunnelPool(
                pattern: try self.agents.pattern(), configuration: self.peerConfiguration, signal: self.control.client,
                logger: self.log.logger)
            self.control.client.setDelegate(SignalFanout([NIOLoopBound(pool.channels, eventLoop: eventLoop)]))
            return NIOLoopBound(pool, eventLoop: eventLoop)
        }.get()

        let listener: NIOLoopBound<SOCKSListener>
        let bound: SocketAddress?
        do {
            listener = try await eventLoop.flatSubmit {
                SOCKSListener.start(
                    on: address, maximumConnections: self.proxy.maximumConnections, credentials: credentials,
                    connector: pool.value, eventLoop: eventLoop, logger: self.log.logger)
            }.get()
            bound = try await eventLoop.submit { listener.value.localAddress }.get()
        } catch {
            throw ProgramError(.unavailable, "cannot listen on \(self.proxy.address): \(Self.words(for: error))")
        }

        let local = bound?.authority ?? "\(self.proxy.address)"
        if !address.isLoopback, !credentials.isRequired {
            self.log.logger.warning(
                "everybody who can reach this address can use the proxy: set --auth user:password",
                metadata: ["socks": "\(local)"])
        }
        ReadyLine(program: SocksCommand.name, ["socks": local]).announce()
        return Parts(pool: pool, listener: listener)
    }

    private func resolve(_ place: HostPort) throws(ProgramError) -> SocketAddress {
        do {
            // At start a blocking lookup does no harm, and an address needs none.
            return try SocketAddress.makeAddressResolvingHost(place.host, port: Int(place.port))
        } catch {
            throw ProgramError(.unavailable, "cannot listen on \(place): there is no address named \(place.host)")
        }
    }

    private static func words(for error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return SystemError.text(error.errnoCode)
    }

    // MARK: Stop

    private func drain(_ parts: Parts) async {
        try? await self.control.eventLoop.flatSubmit { parts.listener.value.drain() }.get()
        await self.close(parts)
    }

    /// Tells agents and server, so that they need not find out by themselves.
    private func close(_ parts: Parts) async {
        try? await self.control.eventLoop.submit { parts.pool.value.close() }.get()
        await self.control.client.stopAndWait()
    }
}
