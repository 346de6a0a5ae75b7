import Foundation
import TestSupport
import Testing

/// Servers, peers and paths are away for a while: what was open goes on, and what waits gets there.
@Suite(
    .serialized, .timeLimit(.minutes(10)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct OutageTests {
    /// How long a program is suspended: the minute that is promised.
    private static let suspension = Duration.seconds(60)

    /// Client and agent with a direct path, or with none.
    private static let pairs: [(path: String, client: NATKind, agent: NATKind)] = [
        ("direct", NATKind.port, NATKind.port), ("bridge", .serverOnly, .port),
    ]

    /// Both programs, with steady traffic through them that already flows.
    private struct Running {
        let programs: LabPrograms
        let socks: RunningProgram
        let relay: RunningProgram
        let steady: [SteadyTraffic]

        init(on lab: NATLab, path: String) async throws {
            self.programs = try await LabPrograms(on: lab)
            self.socks = try await self.programs.start(.socks)
            self.relay = try await self.programs.start(.relay)
            self.steady = [try self.programs.steady(.socks), try self.programs.steady(.relay)]
            for program in [self.socks, self.relay] { try await program.awaitPath(path, within: .seconds(15)) }
            for traffic in self.steady { try await traffic.flows() }
            try await self.restart()
        }

        /// Forgets what the traffic has seen.
        func restart() async throws {
            for traffic in self.steady { try await traffic.restart() }
        }

        /// What the traffic has seen since.
        func expect(longestGap limit: Duration, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            for traffic in self.steady {
                try await traffic.flows()
                let report = try await traffic.report()
                #expect(report.longestGap < limit, "\(report)", sourceLocation: sourceLocation)
            }
        }

        /// - Parameter programs: all clients if nothing else is said.
        func expectSameChannels(
            of programs: [RunningProgram]? = nil, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            for program in programs ?? [self.socks, self.relay] {
                let text = program.errors.text
                let connected = program.events("peer.connected").map { $0["peer"] }
                #expect(connected.count == 1, "\(text)", sourceLocation: sourceLocation)
                // An attempt at another one in the meantime may have failed.
                let closed = program.events("peer.closed").map { $0["peer"] }
                #expect(!closed.contains(connected.first ?? ""), "\(text)", sourceLocation: sourceLocation)
            }
        }

        func stop(_ more: RunningProgram...) async {
            await stopAll([self.socks, self.relay] + more + self.steady.map(\.program))
            await self.programs.stop()
        }
    }

    /// What one waits longest for, side by side: it is next to no work.
    @Test func `open connections and flows outlast the sleep of a side, and a server that is out of reach`()
        async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pair in Self.pairs {
                for side in NATLab.Side.allCases { group.addTask { try await Self.outlastSleep(of: side, pair) } }
            }
            group.addTask { try await Self.outlastServer() }
            try await group.waitForAll()
        }
    }

    /// Out of reach for 30 s.
    private static func outlastServer() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let running = try await Running(on: lab, path: "direct")
        try await lab.change("cut server on")
        try await Task.sleep(for: .seconds(30))
        for traffic in running.steady {
            let report = try await traffic.report()
            #expect(report.longestGap < .seconds(3) && report.answered > 1000, "\(report)")
        }
        let known = running.socks.errors.lines.count
        try await lab.change("cut server off")
        _ = try await running.socks.logLine(within: .seconds(40), "the server", from: known) {
            $0.contains("event=signal.connected")
        }
        running.expectSameChannels()
        #expect(try await running.programs.firstByte(.socks) < 3000)
        await running.stop()
    }

    @Test(arguments: Self.pairs)
    func `open connections and flows outlast a restart of the server`(path: String, client: NATKind, agent: NATKind)
        async throws
    {
        let lab = try await NATLab(client: client, agent: agent)
        let running = try await Running(on: lab, path: path)
        let programs = [running.socks, running.relay, running.programs.agent]
        let known = programs.map(\.errors.lines.count)
        await running.programs.server.kill9()
        let server = try await LabPrograms.launchServer(on: lab)
        for (program, start) in zip(programs, known) {
            _ = try await program.logLine(within: .seconds(20), "the server again", from: start) {
                $0.contains("event=signal.connected")
            }
        }
        // On the bridge there is nothing to go on with until both have found the server again.
        try await running.expect(longestGap: path == "direct" ? .seconds(3) : .seconds(15))
        running.expectSameChannels()
        #expect(running.socks.path == path)
        await running.stop(server)
    }

    private static func outlastSleep(
        of side: NATLab.Side, _ pair: (path: String, client: NATKind, agent: NATKind)
    ) async throws {
        let lab = try await NATLab(client: pair.client, agent: pair.agent)
        let running = try await Running(on: lab, path: pair.path)
        let sleepers = side == .client ? [running.socks, running.relay] : [running.programs.agent]
        for program in sleepers { program.signal(SIGSTOP) }
        try await Task.sleep(for: Self.suspension)
        for program in sleepers { program.signal(SIGCONT) }
        try await running.expect(longestGap: Self.suspension + .seconds(12))
        // What has been sent over the open connection meanwhile comes late and is not lost.
        try await eventually(within: .seconds(30), "all that was sent meanwhile") {
            let report = try await running.steady[0].report()
            return report.lost == 0 && report.answered > Int(Self.suspension.components.seconds) * 50
        }
        try await running.socks.awaitPath(pair.path, within: .seconds(20))
        // A relay whose agent is silent for 7 s asks for another channel, and gets one when that has woken up.
        running.expectSameChannels(of: side == .client ? nil : [running.socks])
        await running.stop()
    }

    @Test(arguments: Self.pairs)
    func `a client that was started before the server and the agent connects by itself`(
        path: String, client: NATKind, agent: NATKind
    ) async throws {
        let lab = try await NATLab(client: client, agent: agent)
        let socks = try LabPrograms.launch(.socks, on: lab)
        let relay = try LabPrograms.launch(.relay, on: lab)
        try await Task.sleep(for: .seconds(1))
        let server = try await LabPrograms.launchServer(on: lab)
        try await Task.sleep(for: .seconds(1))
        let services = try await LabPrograms.launchServices(on: lab)
        let agentProgram = try LabPrograms.launchAgent(on: lab)
        try await LabPrograms.ready(agentProgram)
        let programs = LabPrograms(lab: lab, server: server, agent: agentProgram, services: services)
        // The next try of a connection to the server comes within 30 s; an agent that has just come is heard of at once.
        for program in [socks, relay] {
            _ = try await program.logLine(within: .seconds(40), "the server") { $0.contains("event=signal.connected") }
        }
        #expect(try await programs.firstByte(.relay) < 10_000)
        #expect(try await programs.firstByte(.socks) < 10_000)
        for program in [socks, relay] { try await program.awaitPath(path, within: .seconds(15)) }
        await programs.stop(socks, relay)
    }

    @Test
    func `a dead path is noticed within 10 s, and again when it comes back`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let running = try await Running(on: lab, path: "direct")
        try await lab.change("block agent on")
        try await running.expect(longestGap: .seconds(10))
        for program in [running.socks, running.relay] {
            try await program.awaitPath("bridge", within: .seconds(5))
            #expect(program.events("peer.path_changed").last?["reason"]?.isEmpty == false)
        }
        // The session that was begun at once finds nothing.
        for program in [running.socks, running.relay] {
            _ = try await program.logLine(within: .seconds(25), "the end of the search") {
                $0.contains("event=peer.paths")
            }
        }
        try await lab.change("block agent off")
        // While on the bridge, a direct path is looked for once a minute.
        for program in [running.socks, running.relay] { try await program.awaitPath("direct", within: .seconds(75)) }
        for traffic in running.steady { try await traffic.restart() }
        try await running.expect(longestGap: .seconds(3))
        running.expectSameChannels()
        await running.stop()
    }

    /// An idle path has only consent checks to be noticed by.
    @Test
    func `new connections work 10 s after the path has died without traffic`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { _ = try await programs.firstByte(client) }
        for program in [socks, relay] { try await program.awaitPath("direct", within: .seconds(15)) }
        try await lab.change("block client on")
        for client in LabPrograms.Client.allCases { #expect(try await programs.firstByte(client) < 10_000) }
        await programs.stop(socks, relay)
    }
}
