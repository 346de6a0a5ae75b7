import Admin
import AppProto
import Basics
import CommandSupport
import FileWatch
import Logging
import NIOCore
import NIOPosix
import PeerChannel
import PeerSupport
import Signaling
import TLS

/// The agent's parts, wired together.
struct Agent {
    /// However large `--max-streams` is: what one client's tunnel may take of it.
    private static let maximumStreamsPerPeer = 65_536
    /// What an agent holds of one connection's upload that its target does not take, in bytes.
    private static let receiveWindow = 4 << 20
    /// The same of one tunnel, in bytes. Half of what a client allows itself, since an agent has up to `--max-peers` tunnels.
    private static let receiveBudget = 16 << 20

    private let name: String
    private let client: SignalClient
    private let acceptor: PeerAcceptor
    private let egress: Egress
    private let rules: EgressRules
    private let peerConfiguration: PeerChannelConfiguration
    private let statisticsInterval: TimeAmount?
    private let admin: AdminOptions
    private let maximumPeers: Int
    private let clientFile: String?
    /// Of that file, from before it was read.
    private let clientStamp: FileStamp?
    private let log: ProgramLog

    /// Derives keys, reads what files there are. Throws a `ProgramError`.
    ///
    /// - Parameter list: of the clients that are served; nil: all.
    init(
        _ command: AgentCommand, access: ServerAccess, endToEndSecret: Secret?, identity: ProcessIdentity,
        list: AuthorizedClients?, log: ProgramLog
    ) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: command.eventLoopCount)

        self.name = try command.registration.name()
        self.log = log

        var peerConfiguration = try command.peers.configuration(
            identity: identity, endToEndSecret: endToEndSecret)
        let limits = EgressLimits(
            command.egress, openFiles: FileDescriptorLimit.current, eventLoops: command.eventLoopCount)
        limits.warn(about: command.egress, log.logger)
        peerConfiguration.maxStreamWindow = Self.receiveWindow
        peerConfiguration.maxUnconsumedBytes = Self.receiveBudget
        let rules = EgressRules(command.egress)
        self.rules = rules
        peerConfiguration.permitsCandidate = { address in
            IPAddress(address).map { rules.candidatePolicy.permits($0, port: address.packedPort) } ?? false
        }

        command.peers.watchInterfaces(on: group.next(), logger: log.logger)
        self.egress = Egress(
            dialer: EgressDialer(rules: rules),
            maximumStreams: limits.streams, maximumFlows: limits.flows)
        // At the limit that was asked for, clients wait; at that of the machine they hear of it.
        let isHeldDown = limits.streams < command.egress.maximumStreams
        peerConfiguration.maxConcurrentStreams = min(
            isHeldDown ? command.egress.maximumStreams : self.egress.maximumStreamsAlone, Self.maximumStreamsPerPeer)
        self.peerConfiguration = peerConfiguration
        self.statisticsInterval = command.statistics.interval
        self.admin = command.admin
        self.maximumPeers = command.egress.maximumPeers
        self.clientFile = command.clients.file
        self.clientStamp = list?.stamp
        self.acceptor = PeerAcceptor(
            maximumPeers: command.egress.maximumPeers, list: list, group: group, egress: self.egress,
            accessLog: log.accessLog, logger: log.logger)

        self.client = try access.client(
            command.server,
            role: .agent(
                name: self.name, expireIn: command.registration.expireIn, labels: command.registration.labels),
            identity: identity, program: AgentCommand.name, congestion: command.peers.congestion,
            eventLoop: group.next(), logger: log.logger)
        self.sayStarted(command, limits, list)
    }

    /// So many rules of the egress policy the first line of the log names.
    private static let rulesShown = 8

    private func sayStarted(_ command: AgentCommand, _ limits: EgressLimits, _ list: AuthorizedClients?) {
        var metadata = command.peers.startMetadata
        metadata["server"] = "\(self.client.configuration.server)"
        metadata["agent"] = "\(self.name)"
        let expiry = command.registration.expireIn
        metadata["expires_in_s"] = expiry.map { .stringConvertible($0.wholeSeconds) }
        metadata["egress"] = "\(command.egress.preset.rawValue)"
        let rules = command.egress.ruleTexts
        if !rules.isEmpty {
            let more = rules.count > Self.rulesShown ? "; and \(rules.count - Self.rulesShown) more" : ""
            metadata["rules"] = "\(rules.prefix(Self.rulesShown).joined(separator: "; "))\(more)"
        }
        metadata["authorized_clients"] = list.map { .stringConvertible($0.rules.count) }
        metadata["max_peers"] = .stringConvertible(command.egress.maximumPeers)
        metadata["max_streams"] = .stringConvertible(limits.streams)
        metadata["max_flows"] = .stringConvertible(limits.flows)
        metadata["e2e"] = .stringConvertible(self.peerConfiguration.e2eKey != nil)
        StartLine.log(
            program: AgentCommand.name,
            "offers this machine as \(self.name)\(expiry.map { " for \($0.words)" } ?? "")", metadata,
            to: self.log.logger)
    }

    /// Serves until the registration ends or the system asks to stop. Throws a `ProgramError` when there is no point in
    /// going on.
    func run() async throws {
        let ready = self.client.eventLoop.makePromise(of: Welcome.self)
        let registrar = try await self.client.eventLoop.submit {
            let registrar = Registrar(
                client: self.client, acceptor: self.acceptor, peerConfiguration: self.peerConfiguration,
                logger: self.log.logger
            ) { welcome in ready.succeed(welcome) }
            self.client.setDelegate(registrar)
            return NIOLoopBound(registrar, eventLoop: self.client.eventLoop)
        }.get()
        let clientWatch = try await self.watchClients()
        let admin = try await AdminServer.start(
            self.admin, program: AgentCommand.name, source: self.statusSource(registrar), logger: self.log.logger)
        ready.futureResult.whenSuccess { welcome in
            let fields = [("agent", welcome.agentName), ("instance", welcome.instanceID?.rawValue ?? "")]
            ReadyLine(program: AgentCommand.name, admin.announced(with: fields)).announce()
            // From here on the agent is likely to be idle for long.
            CodePages.release()
        }
        if let interval = self.statisticsInterval {
            self.client.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                self.report()
            }
        }
        try await ProgramLifecycle.run(
            logger: self.log.logger,
            endsOnHangup: { self.log.isOnTerminal },
            hangup: {
                self.log.reopen()
                self.client.eventLoop.execute { clientWatch?.value.reload() }
                if let new = ConfigurationReload.read(
                    AgentCommand.self, log: self.log, atRunTime: EgressOptions.atRunTime)
                {
                    self.rules.change(to: new.command.egress)
                }
            },
            report: { self.report() },
            drain: {
                admin?.stopping()
                await self.drain()
            },
            body: { try await self.serve() })
    }

    /// Goes by what the list of clients says, whenever it changes.
    private func watchClients() async throws -> NIOLoopBound<ClientWatch>? {
        guard let file = self.clientFile else { return nil }
        return try await self.client.eventLoop.submit { [acceptor, client, clientStamp, log] in
            let watch = ClientWatch(
                file: file, loaded: clientStamp, acceptor: acceptor, eventLoop: client.eventLoop, logger: log.logger)
            watch.start()
            return NIOLoopBound(watch, eventLoop: client.eventLoop)
        }.get()
    }

    private func statusSource(_ registrar: NIOLoopBound<Registrar>) -> StatusSource {
        StatusSource(layout: AgentStatus.layout) { [acceptor, egress, client, name, maximumPeers] in
            acceptor.status(on: client.eventLoop).map { part in
                let clock = StatusClock(.now())
                let summary = egress.summary
                let admissions = acceptor.admissions
                return AgentStatus(
                    control: ControlStatus(client), registration: registrar.value.registration(name),
                    limits: AgentStatus.Limits(
                        peers: maximumPeers, streams: egress.maximumStreams, flows: egress.maximumFlows,
                        usedStreams: summary.streams, usedFlows: summary.flows),
                    refusals: summary.refusals.map {
                        AgentStatus.Refusal(target: $0.target, count: $0.count, last: clock.unixTime(of: $0.last))
                    },
                    refusedRelays: summary.refusedRelays, clients: admissions.clients,
                    refusedOffers: admissions.refusals, part: part)
            }
        } traffic: { [acceptor, client] in
            acceptor.traffic(on: client.eventLoop)
        }
    }

    /// Writes statistics to the log. From any event loop.
    private func report() {
        self.acceptor.report()
        self.client.reportBridge()
    }

    private func serve() async throws {
        let terminal = await self.client.run()
        switch terminal {
        case .refused, .keyUnknown: throw ProgramError(.refused, "\(terminal)")
        case .replaced: throw ProgramError(.replaced, "\(terminal)")
        case .expired:
            self.log.logger.notice("\(terminal)", metadata: ["event": "agent.expired", "agent": "\(self.name)"])
            await self.drain()
        case .stopped: break
        }
    }

    /// Leaves the registry with a goodbye, so that clients hear of it at once; lets open connections finish for a while;
    /// then tells the peers that the agent is gone.
    private func drain() async {
        self.acceptor.stopAccepting()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await self.client.stopAndWait()
                await self.egress.waitUntilIdle()
            }
            group.addTask { try? await Task.sleep(for: .nanoseconds(ProgramLifecycle.drainTime.nanoseconds)) }
            await group.next()
            group.cancelAll()
        }
        await self.acceptor.closeAll(reason: "the agent is stopping")
    }
}
