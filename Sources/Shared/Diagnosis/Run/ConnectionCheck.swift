package import AppProto
import ArgumentParser
import Basics
package import CommandSupport
import Logging
package import NIOCore
import NIOPosix
import NameResolution
import PeerChannel
package import PeerSupport
import Signaling
package import TLS

/// `--check`: looks at everything between this machine and its peers, one after the other, and says what it finds.
///
/// Ends within 15 s: names get 4 s, the control connection 6 s, then STUN servers and the list of agents 5 s together.
package struct ConnectionCheck {
    /// Whose peers are meant.
    package enum Role {
        case agent(name: String)
        /// Agents for which `matches` holds; `pattern` is what the user wrote. `judge` says what is thought of an agent's key;
        /// nil: any key will do.
        case client(
            pattern: String, matches: (String) -> Bool, judge: ((AgentInfo) -> AgentsReport.KeyJudgement)? = nil)

        /// Nil for a client.
        var agentName: String? {
            if case .agent(let name) = self { name } else { nil }
        }
    }

    private static let nameLimit = TimeAmount.seconds(4)
    private static let connectionLimit = TimeAmount.seconds(6)
    private static let listLimit = TimeAmount.seconds(3)

    private let program: String
    private let role: Role
    private let server: ServerPlace
    private let peers: PeerOptions
    private let configuration: SignalClientConfiguration
    private let connection: CheckConnection
    private let eventLoop: any EventLoop

    /// Derives the key of the secret; connects to nothing yet. Throws a `ProgramError` or `ServerURLError`.
    ///
    /// - Parameter program: its name, such as `rtun-socks`.
    package init(
        program: String, role: Role, server: ServerConnectionOptions, access: ServerAccess, identity: ProcessIdentity,
        peers: PeerOptions, eventLoop: any EventLoop, log: ProgramLog
    ) throws {
        self.program = program
        self.role = role
        self.peers = peers
        self.eventLoop = eventLoop
        var logger = log.logger
        // The report says what is wrong; the log is for who asks for more.
        if logger.logLevel > .debug { logger.logLevel = .critical }
        // Never in the role of an agent: that would take the name from the agent that has it.
        self.connection = CheckConnection(
            client: try access.client(
                server, role: .client, identity: identity, program: program, congestion: peers.congestion,
                checkedAgent: role.agentName, eventLoop: eventLoop, addressMonitor: nil, logger: logger))
        self.configuration = self.connection.client.configuration
        self.server = self.configuration.server
    }

    /// Prints a line for each test and the verdict. Throws `ExitCode` when that is a bad one.
    package func run() async throws {
        StartupSignals.giveBack()
        StandardStream.output.write("\(self.program) checks \(self.server)\n\n")
        let verdict = await self.check()
        StandardStream.output.write("\n\(verdict.text)\n")
        if verdict.status != .done { throw ExitCode(verdict.status.rawValue) }
    }

    private func check() async -> CheckVerdict {
        Self.show(self.configuration.warnings.map { CheckItem(.warning, "options", $0) } + self.identityItems)
        let addresses: [SocketAddress]
        switch await self.resolve() {
        case .success(let found):
            addresses = found
        case .failure(let failure):
            Self.show([
                CheckItem(
                    .failed, "name", failure.reason, advice: "check the host name in the URL, and the name server")
            ])
            return .withoutServer(failure.reason)
        }
        Self.show([
            CheckItem(
                .ok, "name", "\(self.server.host) is \(addresses.compactMap(\.ipAddress).joined(separator: ", "))")
        ])
        let verdict: CheckVerdict
        switch await self.connection.open(within: Self.connectionLimit) {
        case .connected(let session, let time, let clockDifference):
            self.show(
                .connected(
                    server: session.welcome.software, remote: session.remoteAddress, after: time,
                    clockDifference: clockDifference), over: session.transport)
            verdict = await self.checkPaths(session)
        case .refused(let reason):
            self.show(.refused(reason))
            await self.checkNAT(around: addresses, serverIsAway: false)
            verdict = .refused
        case .keyUnknown(let reason):
            self.show(.keyUnknown(reason))
            await self.checkNAT(around: addresses, serverIsAway: false)
            verdict = .keyUnknown
        case .failed(let reason, let advice, let words):
            self.show(.failed(reason, advice: advice))
            await self.checkNAT(around: addresses, serverIsAway: true)
            verdict = .withoutServer(words)
        }
        await self.connection.close()
        return verdict
    }

    private var identityItems: [CheckItem] {
        guard let identity = self.configuration.identity else { return [] }
        let kind =
            identity.isKept ? "kept in a file" : "made at this start, so without --identity each start has another"
        return [CheckItem(.ok, "identity", "\(identity.fingerprint), \(kind)")]
    }

    // MARK: The name

    private struct NameFailure: Error {
        let reason: String
    }

    private func resolve() async -> Result<[SocketAddress], NameFailure> {
        let host = self.server.host
        let lookup = NameResolver.shared.lookUp(host, port: self.server.port, on: self.eventLoop)
        let timeout = self.eventLoop.scheduleTask(in: Self.nameLimit) { lookup.cancel() }
        defer { timeout.cancel() }
        do {
            return .success(try await lookup.allAddresses.get())
        } catch NameLookupError.cancelled {
            return .failure(NameFailure(reason: "no name server answers for \"\(host)\""))
        } catch {
            return .failure(NameFailure(reason: "cannot find the address of \"\(host)\": \(error)"))
        }
    }

    // MARK: The paths

    private func checkPaths(_ session: SignalSession) async -> CheckVerdict {
        let announced = PeerChannelConfiguration.STUNServerAddress.servers(
            reachedAt: session.remoteAddress, announced: session.welcome.stunServers)
        let bridge = session.welcome.bridge && self.peers.pathChoice != .direct
        let bridgeAlone = self.peers.pathChoice == .bridge
        let guessesPorts = self.peers.spread > 0
        let connection = self.connection
        async let listing = connection.agents(within: Self.listLimit)
        let probe = await self.probe(announced, loopbackOnly: session.serverIsLoopback)
        let nat = NATReport(probe, hasBridge: bridge)
        Self.show(nat.items + [self.bridgeItem(session)])
        let listed = await listing
        if listed == nil, self.role.agentName != nil {
            // Who has a secret or key of agents only is not told of the others.
            Self.show([CheckItem(.ok, "agent", "who is registered is not told to agents")])
            if bridgeAlone { return .bridgeAlone(isOffered: bridge) }
            return .agent(mapping: nat.mapping, bridge: bridge, guessesPorts: guessesPorts)
        }
        guard let agents = listed else {
            Self.show([CheckItem(.failed, "agents", "the server does not answer a request")])
            return .withoutServer("the server does not answer")
        }
        switch self.role {
        case .agent(let name):
            Self.show([Self.item(agentNamed: name, among: agents)])
            if bridgeAlone { return .bridgeAlone(isOffered: bridge) }
            return .agent(mapping: nat.mapping, bridge: bridge, guessesPorts: guessesPorts)
        case .client(let pattern, let matches, let judge):
            let report = AgentsReport(
                pattern: pattern, agents: agents.filter { matches($0.name) }, count: agents.count,
                client: AgentsReport.Client(
                    observedAddress: session.welcome.observedAddress, serverIsLoopback: session.serverIsLoopback,
                    mapping: nat.mapping, probe: try? probe.get()),
                bridgeAlone: bridgeAlone, guessesPorts: guessesPorts, judge: judge)
            Self.show(report.items)
            if report.isEveryKeyRefused { return .keysRefused }
            if bridgeAlone, !report.usableAgents.isEmpty { return .bridgeAlone(isOffered: bridge) }
            return .client(report.predictions, mapping: nat.mapping, bridge: bridge)
        }
    }

    /// With no server to introduce anybody it is still good to know whether UDP gets out.
    private func checkNAT(around addresses: [SocketAddress], serverIsAway: Bool) async {
        var servers: [PeerChannelConfiguration.STUNServerAddress] = []
        for family in [NIOBSDSocket.ProtocolFamily.inet, .inet6] {
            guard let first = addresses.first(where: { $0.protocol == family }) else { continue }
            servers += PeerChannelConfiguration.STUNServerAddress.servers(reachedAt: first, announced: [])
        }
        let probe = await self.probe(servers, loopbackOnly: addresses.first?.isLoopback ?? false)
        Self.show(NATReport(probe, hasBridge: false, serverIsAway: serverIsAway).items)
    }

    private func probe(
        _ servers: [PeerChannelConfiguration.STUNServerAddress], loopbackOnly: Bool
    ) async -> Result<MappingProbe.Report, any Error> {
        let configuration = MappingProbe.Configuration(
            servers: servers + self.peers.stunServerAddresses, interfaces: self.peers.interfaces,
            loopbackOnly: loopbackOnly)
        do {
            return .success(try await MappingProbe.run(configuration, eventLoop: self.eventLoop).get())
        } catch {
            return .failure(error)
        }
    }

    private func bridgeItem(_ session: SignalSession) -> CheckItem {
        switch (session.welcome.bridge, self.peers.pathChoice) {
        case (false, .bridge):
            CheckItem(
                .failed, "bridge", "the server does not relay, and --p2p bridge uses nothing else",
                advice: "start rtun-server without --no-bridge, or leave out --p2p bridge")
        case (false, _): CheckItem(.warning, "bridge", "the server does not relay for peers without a direct path")
        case (true, .direct): CheckItem(.warning, "bridge", "the server offers one, which --p2p direct does not use")
        case (true, .auto): CheckItem(.ok, "bridge", "the server relays for peers without a direct path")
        case (true, .bridge): CheckItem(.ok, "bridge", "the server relays everything, as --p2p bridge asks")
        }
    }

    private static func item(agentNamed name: String, among agents: [AgentInfo]) -> CheckItem {
        guard let holder = agents.first(where: { $0.name == name }) else {
            return CheckItem(.ok, "agent", "nobody is registered as \(name)")
        }
        return CheckItem(
            .ok, "agent", "\(name) is registered, from \(holder.address); another agent of that name will replace it")
    }

    // MARK: Output

    private func show(_ outcome: SignallingReport.Outcome, over scheme: ServerURL.Scheme? = nil) {
        Self.show(
            SignallingReport(
                server: self.server, isInsecure: self.configuration.isInsecure, scheme: scheme, outcome: outcome
            ).items)
    }

    /// Each as soon as it is known: some tests take seconds.
    private static func show(_ items: [CheckItem]) {
        for item in items {
            StandardStream.output.write(item.text)
        }
    }
}
