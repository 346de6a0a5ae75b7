import Admin
import Basics
import ClientSupport
import CommandSupport
import FlowLedger
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
    private let peers: PeerOptions
    private let admin: AdminOptions
    private let peerConfiguration: PeerChannelConfiguration
    private let keys: AgentKeys?
    private let log: ProgramLog

    /// - Parameters:
    ///   - identity: whose certificate agents pin.
    ///   - keys: what agents are known by; nil: any key will do.
    init(
        _ command: SocksCommand, control: SignalClient, identity: ProcessIdentity, keys: AgentKeys?,
        endToEndSecret: Secret?, log: ProgramLog
    ) throws {
        self.keys = keys
        self.control = control
        self.proxy = command.proxy
        self.agents = command.agents
        self.peers = command.peers
        self.admin = command.admin
        self.log = log
        command.peers.watchInterfaces(on: control.eventLoop, logger: log.logger)
        self.peerConfiguration = try command.peers.configuration(
            identity: identity, endToEndSecret: endToEndSecret)
    }

    /// Serves until the system asks to stop. Throws a `ProgramError` when there is no point in going on.
    func run() async throws {
        let parts = try await self.start()
        do {
            try await self.serve(parts)
        } catch {
            // A socket in the file system does not stay behind.
            await self.close(parts.listeners)
            throw error
        }
        await self.close(parts)
    }

    private func serve(_ parts: Parts) async throws {
        let admin = try await AdminServer.start(
            self.admin, program: SocksCommand.name, source: self.statusSource(of: parts), logger: self.log.logger)
        let readyLine = ReadyLine(
            program: SocksCommand.name, admin.announced(with: parts.addresses.map { ("socks", $0) }))
        try await ProgramLifecycle.run(
            logger: self.log.logger,
            endsOnHangup: { self.log.isOnTerminal },
            hangup: {
                self.log.reopen()
                self.keys?.reload()
                if let new = ConfigurationReload.read(
                    SocksCommand.self, log: self.log, atRunTime: ProxyOptions.atRunTime)
                {
                    await self.change(to: new.command.proxy, parts)
                    if new.changed.contains("auth") { self.warn(of: new.command.proxy, parts) }
                }
            },
            drain: {
                admin?.stopping()
                await self.drain(parts)
            },
            body: {
                readyLine.announce()
                await self.showLiveLine(parts)
                if let error = await self.control.run().programError { throw error }
            })
    }

    /// On a terminal, shows how the proxy is getting on.
    private func showLiveLine(_ parts: Parts) async {
        let eventLoop = self.control.eventLoop
        try? await eventLoop.submit {
            LiveLineTicker(log: self.log, eventLoop: eventLoop) {
                eventLoop.makeSucceededFuture(parts.pool.value.liveStatus)
            }.start()
        }.get()
    }

    // MARK: Start

    /// What lives on the event loop.
    private struct Parts: Sendable {
        let pool: NIOLoopBound<TunnelPool>
        let clients: NIOLoopBound<ProxyClients>
        let listeners: [NIOLoopBound<SOCKSListener>]
        /// Clients can connect from then on, and are kept waiting until there is a tunnel.
        let addresses: [String]
        /// Where it listens for others than this machine, as they see it.
        let openAddresses: [String]
    }

    /// Listens.
    private func start() async throws -> Parts {
        let eventLoop = self.control.eventLoop
        let (pool, clients) = try await eventLoop.submit {
            let pool = TunnelPool(
                pattern: try self.agents.pattern(), configuration: self.peerConfiguration, keys: self.keys,
                signal: self.control, eventLoop: eventLoop, logger: self.log.logger)
            self.keys?.watch()
            pool.loginCount = self.proxy.credentials.userCount
            self.log.accessLog?.follow(pool.ledger)
            self.control.setDelegate(SignalFanout([NIOLoopBound(pool.channels, eventLoop: eventLoop)]))
            let clients = ProxyClients(self.proxy, connector: pool, eventLoop: eventLoop, logger: self.log.logger)
            return (NIOLoopBound(pool, eventLoop: eventLoop), NIOLoopBound(clients, eventLoop: eventLoop))
        }.get()

        let listeners = try await self.listen(for: clients)
        let (names, open) = try await eventLoop.submit {
            (listeners.map(\.value.name), listeners.compactMap(\.value.openAddress))
        }.get()
        let parts = Parts(
            pool: pool, clients: clients, listeners: listeners, addresses: names, openAddresses: open)
        self.sayStarted(on: names)
        self.warn(of: self.proxy, parts)
        return parts
    }

    private func sayStarted(on places: [String]) {
        let list = places.joined(separator: ", ")
        var metadata = self.peers.startMetadata
        metadata["socks"] = "\(places.joined(separator: ","))"
        metadata["server"] = "\(self.control.configuration.server)"
        metadata["agents"] = "\(self.agents.expression)"
        metadata["login"] = .stringConvertible(self.proxy.credentials.isRequired)
        metadata["max_connections"] = .stringConvertible(self.proxy.maximumConnections)
        metadata["e2e"] = .stringConvertible(self.peerConfiguration.e2eKey != nil)
        StartLine.log(program: SocksCommand.name, "listens on \(list)", metadata, to: self.log.logger)
    }

    /// Listens at all places, or at none.
    private func listen(for clients: NIOLoopBound<ProxyClients>) async throws -> [NIOLoopBound<SOCKSListener>] {
        var listeners: [NIOLoopBound<SOCKSListener>] = []
        do {
            for place in try self.proxy.places() {
                listeners.append(
                    try await SOCKSListener.start(
                        at: place, for: clients, eventLoop: self.control.eventLoop, logger: self.log.logger))
            }
        } catch {
            await self.close(listeners)
            throw error
        }
        return listeners
    }

    private func statusSource(of parts: Parts) -> StatusSource {
        let (control, pattern, limit) = (self.control, self.agents.expression, self.proxy.maximumConnections)
        return StatusSource(layout: ProxyStatus.layout) {
            control.eventLoop.submit {
                let clock = StatusClock(control.eventLoop.now)
                let (pool, clients) = (parts.pool.value, parts.clients.value)
                return ProxyStatus(
                    listening: parts.addresses, pattern: pattern, control: ControlStatus(control),
                    pool: pool.channels.status(clock), flows: FlowsStatus(pool.ledger, clock),
                    clients: clients.limiter.count, maximumConnections: limit, refusals: clients.refusals.counts,
                    drops: clients.drops.counts)
            }
        } traffic: {
            control.eventLoop.submit {
                Traffic(total: parts.pool.value.ledger.totals.values.reduce(into: FlowTraffic()) { $0 += $1.traffic })
            }
        }
    }

    /// Says in the log when the proxy is open to others.
    private func warn(of proxy: ProxyOptions, _ parts: Parts) {
        guard !proxy.credentials.isRequired else { return }
        for address in parts.openAddresses {
            self.log.logger.warning(
                "everybody who can reach this address can use the proxy: set --auth user:password",
                metadata: ["socks": "\(address)"])
        }
    }

    /// Goes by other options for clients that come from now on.
    private func change(to proxy: ProxyOptions, _ parts: Parts) async {
        try? await self.control.eventLoop.submit {
            parts.clients.value.change(to: proxy)
            parts.pool.value.loginCount = proxy.credentials.userCount
        }.get()
    }

    // MARK: Stop

    private func drain(_ parts: Parts) async {
        await self.close(parts.listeners)
        try? await self.control.eventLoop.flatSubmit {
            parts.clients.value.limiter.drain().cut(after: ProgramLifecycle.drainTime)
        }.get()
        await self.close(parts)
    }

    private func close(_ listeners: [NIOLoopBound<SOCKSListener>]) async {
        try? await self.control.eventLoop.submit { for listener in listeners { listener.value.close() } }.get()
    }

    /// Tells agents and server, so that they need not find out by themselves.
    private func close(_ parts: Parts) async {
        await self.close(parts.listeners)
        try? await self.control.eventLoop.submit { parts.pool.value.close() }.get()
        await self.control.stopAndWait()
    }
}
