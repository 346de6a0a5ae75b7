import Admin
import Basics
import ClientSupport
import CommandSupport
import FlowLedger
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
    private let rules: [RelayRule]
    private let services: RuleServices
    private let peers: PeerOptions
    private let statisticsInterval: TimeAmount?
    private let admin: AdminOptions
    private let log: ProgramLog

    /// - Parameters:
    ///   - identity: whose certificate agents pin.
    ///   - keys: what agents are known by; nil: any key will do.
    init(
        _ command: RelayCommand, group: any EventLoopGroup, control: SignalClient, identity: ProcessIdentity,
        keys: AgentKeys?, endToEndSecret: Secret?, log: ProgramLog
    ) throws {
        self.group = group
        self.control = control
        self.rules = command.relay.rules
        self.peers = command.peers
        self.statisticsInterval = command.statistics.interval
        self.admin = command.admin
        self.log = log
        command.peers.watchInterfaces(on: control.eventLoop, logger: log.logger)
        self.services = RuleServices(
            options: command.relay, agents: command.agents,
            configuration: try command.peers.configuration(identity: identity, endToEndSecret: endToEndSecret),
            keys: keys, signal: control, logger: log.logger)
    }

    /// Serves until the system asks to stop. Throws a `ProgramError` when there is no point in going on.
    func run() async throws {
        let (workers, ports) = try await self.start()
        let admin = try await AdminServer.start(
            self.admin, program: RelayCommand.name, source: self.statusSource(of: workers), logger: self.log.logger)
        let readyLine = ReadyLine(
            program: RelayCommand.name,
            admin.announced(with: ports.map { ($0.transport.rawValue, $0.address.authority) }))
        try await ProgramLifecycle.run(
            logger: self.log.logger,
            endsOnHangup: { self.log.isOnTerminal },
            hangup: {
                self.log.reopen()
                self.services.keys?.reload()
                _ = ConfigurationReload.read(RelayCommand.self, log: self.log)
            },
            report: { self.report(workers) },
            drain: {
                admin?.stopping()
                await self.drain(workers)
            },
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
    private func serve(_ workers: [NIOLoopBound<any RuleWorker>]) async throws {
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

    /// What a rule listens on.
    private typealias Port = (transport: RelayRule.Transport, address: SocketAddress)

    /// Opens all ports: datagrams and connections are taken from now on and wait until there is a channel.
    private func start() async throws -> ([NIOLoopBound<any RuleWorker>], [Port]) {
        var workers: [NIOLoopBound<any RuleWorker>] = []
        var ports: [Port] = []
        for rule in self.rules {
            let eventLoop = self.group.next()
            do {
                let worker = try await eventLoop.flatSubmit { self.services.open(rule, on: eventLoop) }.get()
                workers.append(worker)
                let address = try await eventLoop.submit {
                    self.log.accessLog?.follow(worker.value.ledger)
                    return worker.value.announcedAddress
                }.get()
                ports.append((rule.transport, address))
            } catch let error as IOError {
                throw ListenAddress.error(
                    error, on: rule.listenAddress.authority, port: UInt16(clamping: rule.listenAddress.port ?? 0))
            }
        }
        let listeners = try await self.listeners(of: workers)
        try await self.control.eventLoop.submit {
            self.services.keys?.watch()
            self.control.setDelegate(SignalFanout(listeners))
        }.get()
        if let interval = self.statisticsInterval {
            self.control.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [workers] _ in
                self.report(workers)
            }
        }
        self.sayStarted(ports)
        for (transport, address) in ports where !address.isLoopback {
            self.log.logger.warning(
                "everybody who can reach this address can use the rule",
                metadata: [transport.rawValue: "\(address.authority)"])
        }
        return (workers, ports)
    }

    /// So many rules the first line of the log names.
    private static let rulesShown = 3

    private func sayStarted(_ ports: [(transport: RelayRule.Transport, address: SocketAddress)]) {
        let rules = zip(ports, self.rules).map { port, rule in
            (port.transport == .udp ? "" : "\(port.transport.rawValue)://")
                + "\(port.address.authority) to \(rule.target.authority)"
        }
        let more = rules.count > Self.rulesShown ? " and \(rules.count - Self.rulesShown) more" : ""
        var metadata = self.peers.startMetadata
        metadata["server"] = "\(self.control.configuration.server)"
        metadata["agents"] = "\(self.services.agents.expression)"
        metadata["rules"] = .stringConvertible(rules.count)
        metadata["idle_timeout_s"] = .stringConvertible(self.services.options.idleTimeout.wholeSeconds)
        metadata["max_flows"] = .stringConvertible(self.services.options.maximumFlows)
        metadata["e2e"] = .stringConvertible(self.services.configuration.e2eKey != nil)
        StartLine.log(
            program: RelayCommand.name,
            "forwards \(rules.prefix(Self.rulesShown).joined(separator: ", "))\(more)", metadata,
            to: self.log.logger)
    }

    /// On a terminal, shows how all rules together are getting on.
    private func showLiveLine(of workers: [NIOLoopBound<any RuleWorker>]) async {
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

    private func statusSource(of workers: [NIOLoopBound<any RuleWorker>]) -> StatusSource {
        let (control, pattern) = (self.control, self.services.agents.expression)
        return StatusSource(layout: RelayStatus.layout) {
            let rules = workers.map { worker in
                worker.eventLoop.submit { worker.value.status(StatusClock(worker.eventLoop.now)) }
            }
            return EventLoopFuture.whenAllSucceed(rules, on: control.eventLoop).map { rules in
                RelayStatus(pattern: pattern, control: ControlStatus(control), rules: rules)
            }
        } traffic: {
            let parts = workers.map { worker in
                worker.eventLoop.submit { (worker.value.statusID, worker.value.traffic) }
            }
            return EventLoopFuture.whenAllSucceed(parts, on: control.eventLoop).map { parts in
                parts.reduce(into: Traffic()) { all, part in
                    all.total += part.1
                    all.parts[part.0] = part.1
                }
            }
        }
    }

    /// Writes statistics to the log. From any event loop.
    private func report(_ workers: [NIOLoopBound<any RuleWorker>]) {
        for worker in workers { worker.eventLoop.execute { worker.value.report() } }
        self.control.reportBridge()
    }

    private func listeners(of workers: [NIOLoopBound<any RuleWorker>]) async throws -> [NIOLoopBound<
        any SignalListener
    >] {
        var listeners: [NIOLoopBound<any SignalListener>] = []
        for worker in workers {
            listeners.append(
                try await worker.eventLoop.submit {
                    NIOLoopBound(worker.value.signalListener, eventLoop: worker.eventLoop)
                }.get())
        }
        return listeners
    }

    /// Takes nobody new and waits for what is open.
    private func drain(_ workers: [NIOLoopBound<any RuleWorker>]) async {
        let ends = workers.map { worker in
            worker.eventLoop.flatSubmit { worker.value.drain().cut(after: ProgramLifecycle.drainTime) }
        }
        for end in ends { try? await end.get() }
        await self.close(workers)
    }

    /// Tells agents and server, so that they need not find out by themselves.
    private func close(_ workers: [NIOLoopBound<any RuleWorker>]) async {
        for worker in workers {
            try? await worker.eventLoop.submit { worker.value.close() }.get()
        }
        await self.control.stopAndWait()
    }
}
