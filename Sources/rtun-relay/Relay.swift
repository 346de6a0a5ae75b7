import Basics
import ClientSupport
import CommandSupport
import Logging
import NIOCore
import PeerChannel
import PeerSupport
import Signaling
import TLS
import UDPRelay

/// The relay's parts, wired together: one control connection, and a worker for each rule.
struct Relay {
    private let group: any EventLoopGroup
    private let control: SignalClient
    private let options: RelayOptions
    private let agents: AgentOptions
    private let peers: PeerOptions
    private let statisticsInterval: TimeAmount?
    private let peerConfiguration: PeerChannelConfiguration
    private let log: ProgramLog

    /// - Parameter identity: whose certificate agents pin.
    init(
        _ command: RelayCommand, group: any EventLoopGroup, control: SignalClient, identity: ProcessIdentity,
        endToEndSecret: Secret?, log: ProgramLog
    ) throws {
        self.group = group
        self.control = control
        self.options = command.relay
        self.agents = command.agents
        self.peers = command.peers
        self.statisticsInterval = command.statistics.interval
        self.log = log
        command.peers.watchInterfaces(on: control.eventLoop, logger: log.logger)
        self.peerConfiguration = try command.peers.configuration(
            identity: identity, endToEndSecret: endToEndSecret)
    }

    /// Serves until the system asks to stop. Throws a `ProgramError` when there is no point in going on.
    func run() async throws {
        let (workers, readyLine) = try await self.start()
        try await ProgramLifecycle.run(
            logger: self.log.logger,
            endsOnHangup: { self.log.isOnTerminal },
            hangup: {
                self.log.reopen()
                _ = ConfigurationReload.read(RelayCommand.self, log: self.log)
            },
            report: { self.report(workers) },
            drain: { await self.close(workers) },
            body: {
                readyLine.announce()
                await self.showLiveLine(of: workers)
                do {
                    try await self.serve(workers)
                } catch {
                    await self.close(workers)
                    throw error
                }
            })
        await self.close(workers)
    }

    /// Keeps the control connection up. Throws when the server refuses it, or a local port is lost.
    private func serve(_ workers: [NIOLoopBound<RelayWorker>]) async throws {
        let (failures, failed) = AsyncThrowingStream.makeStream(of: Never.self)
        for worker in workers {
            worker.eventLoop.execute { worker.value.failed = { failed.finish(throwing: $0) } }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                if let error = await self.control.run().programError { throw error }
            }
            group.addTask { for try await _ in failures {} }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Opens all ports: datagrams are taken from now on and wait until there is a channel.
    private func start() async throws -> ([NIOLoopBound<RelayWorker>], ReadyLine) {
        var workers: [NIOLoopBound<RelayWorker>] = []
        var ports: [SocketAddress] = []
        for rule in self.options.rules {
            let eventLoop = self.group.next()
            do {
                let worker = try await eventLoop.flatSubmit { self.openWorker(rule, on: eventLoop) }.get()
                workers.append(worker)
                ports.append(
                    try await eventLoop.submit {
                        self.log.accessLog?.follow(worker.value.ledger)
                        return worker.value.announcedAddress
                    }.get())
            } catch let error as IOError {
                throw ListenAddress.error(
                    error, on: rule.listenAddress.authority, port: UInt16(clamping: rule.listenAddress.port ?? 0))
            }
        }
        let listeners = try await self.listeners(of: workers)
        try await self.control.eventLoop.submit {
            self.control.setDelegate(SignalFanout(listeners))
        }.get()
        if let interval = self.statisticsInterval {
            self.control.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [workers] _ in
                self.report(workers)
            }
        }
        self.sayStarted(ports)
        for port in ports where !port.isLoopback {
            self.log.logger.notice(
                "everybody who can reach this address can use the rule", metadata: ["udp": "\(port.authority)"])
        }
        return (workers, ReadyLine(program: RelayCommand.name, ports.map { ("udp", $0.authority) }))
    }

    /// So many rules the first line of the log names.
    private static let rulesShown = 3

    private func sayStarted(_ ports: [SocketAddress]) {
        let rules = zip(ports, self.options.rules).map { "\($0.authority) to \($1.target.authority)" }
        let more = rules.count > Self.rulesShown ? " and \(rules.count - Self.rulesShown) more" : ""
        var metadata = self.peers.startMetadata
        metadata["server"] = "\(self.control.configuration.url)"
        metadata["agents"] = "\(self.agents.expression)"
        metadata["rules"] = .stringConvertible(rules.count)
        metadata["idle_timeout_s"] = .stringConvertible(self.options.idleTimeout.wholeSeconds)
        metadata["max_flows"] = .stringConvertible(self.options.maximumFlows)
        metadata["e2e"] = .stringConvertible(self.peerConfiguration.e2eKey != nil)
        StartLine.log(
            program: RelayCommand.name,
            "forwards \(rules.prefix(Self.rulesShown).joined(separator: ", "))\(more)", metadata,
            to: self.log.logger)
    }

    /// On a terminal, shows how all rules together are getting on.
    private func showLiveLine(of workers: [NIOLoopBound<RelayWorker>]) async {
        let eventLoop = self.control.eventLoop
        try? await eventLoop.submit {
            LiveLineTicker(log: self.log, eventLoop: eventLoop) {
                let parts = workers.map { worker in worker.eventLoop.submit { worker.value.liveStatus } }
                return EventLoopFuture.whenAllSucceed(parts, on: eventLoop).map { parts in
                    var status = LiveStatus()
                    for part in parts { status.add(part) }
                    return status
                }
            }.start()
        }.get()
    }

    /// Writes statistics to the log. From any event loop.
    private func report(_ workers: [NIOLoopBound<RelayWorker>]) {
        for worker in workers { worker.eventLoop.execute { worker.value.report() } }
        self.control.reportBridge()
    }

    private func openWorker(
        _ rule: RelayRule, on eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<RelayWorker>> {
        RelayWorker.open(
            rule, options: self.options, agents: self.agents, configuration: self.peerConfiguration,
            signal: self.control, eventLoop: eventLoop, logger: self.log.logger)
    }

    private func listeners(of workers: [NIOLoopBound<RelayWorker>]) async throws -> [NIOLoopBound<any SignalListener>] {
        var listeners: [NIOLoopBound<any SignalListener>] = []
        for worker in workers {
            listeners.append(
                try await worker.eventLoop.submit {
                    NIOLoopBound(worker.value.channels as any SignalListener, eventLoop: worker.eventLoop)
                }.get())
        }
        return listeners
    }

    /// Tells agents and server, so that they need not find out by themselves.
    private func close(_ workers: [NIOLoopBound<RelayWorker>]) async {
        for worker in workers {
            try? await worker.eventLoop.submit { worker.value.close() }.get()
        }
        await self.control.stopAndWait()
    }
}
