import Foundation
import TestSupport
import Testing

/// `rtun-socks` and `rtun-relay` between a client and an agent behind every kind of NAT.
///
/// With `RTUN_NAT_TABLE=FILE` the results are written to a file as a Markdown table: `make nat-table`.
@Suite(
    .serialized, .timeLimit(.minutes(10)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct MatrixTests {
    /// How a program fared between two kinds of NAT.
    private struct Outcome {
        var path = "none"
        /// Until the first byte came back through the program, from its start, in milliseconds.
        var firstByte: Int?
        /// As the path's first check measured it.
        var roundTrip: String?

        var cell: String {
            guard let firstByte = self.firstByte else { return self.path }
            return "\(self.path), \(firstByte) ms"
        }
    }

    private static let echoPort = 7000

    @Test func `each kind of NAT is what its name says`() async throws {
        for kind in NATLab.Kind.allCases {
            let lab = try await NATLab(client: kind, agent: .open)
            let proof = try await lab.prove()
            #expect(proof.contains("client: \(kind.probe)"), "\(kind): \(proof)")
            #expect(proof.contains("agent: \(NATLab.Kind.open.probe)"), "\(kind): \(proof)")
        }
    }

    @Test func `peers find the direct path wherever plain punching can`() async throws {
        var rows: [String] = []
        for client in NATLab.Kind.allCases {
            for agent in NATLab.Kind.allCases where client.isPunchable(with: agent) {
                let (socks, relay) = try await self.outcomes(client, agent)
                #expect(socks.path == "direct", "rtun-socks, \(client) to \(agent)")
                #expect(relay.path == "direct", "rtun-relay, \(client) to \(agent)")
                rows.append("| \(client) | \(agent) | \(socks.cell) | \(relay.cell) |")
            }
        }
        try self.write(rows)
    }

    @Test(arguments: [
        (NATLab.Kind.symmetric, NATLab.Kind.port), (.port, .symmetric), (.symmetric, .symmetric), (.serverOnly, .open),
        (.open, .noUDP),
    ])
    func `where there is no direct path both sides say what they tried`(client: NATLab.Kind, agent: NATLab.Kind)
        async throws
    {
        let lab = try await NATLab(client: client, agent: agent)
        let programs = try await self.start(in: lab)
        for program in [programs.socks, programs.relay] {
            let line = try await program.logLine(within: .seconds(25), "the paths that were tried") {
                $0.contains("event=peer.paths")
            }
            #expect(line.contains("203.0.113.") || client == .noUDP || agent == .noUDP, "\(line)")
            #expect(!program.errors.text.contains("event=peer.connected"))
        }
        await stopAll(programs.all)
    }

    @Test func `flows and connections go on where one packet in ten is lost`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let programs = try await self.start(in: lab)
        _ = try await lab.traffic(on: "client", "socks 2080 \(Self.echoPort)")
        _ = try await lab.traffic(on: "client", "udp 7001")
        try await lab.change("loss client 10")
        for _ in 0..<20 {
            _ = try await lab.traffic(on: "client", "socks 2080 \(Self.echoPort)")
            _ = try await lab.traffic(on: "client", "udp 7001")
        }
        #expect(!programs.relay.errors.text.contains("event=peer.closed"))
        #expect(!programs.socks.errors.text.contains("event=peer.closed"))
        await stopAll(programs.all)
    }

    @Test func `traffic goes on within 10 s after a NAT has forgotten its mappings`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let programs = try await self.start(in: lab)
        _ = try await lab.traffic(on: "client", "udp 7001")
        for side in ["client", "agent", "client"] {
            try await lab.change("flush \(side)")
            #expect(try await lab.traffic(on: "client", "udp 7001") < 10_000)
            #expect(try await lab.traffic(on: "client", "socks 2080 \(Self.echoPort)") < 10_000)
        }
        await stopAll(programs.all)
    }

    // MARK: Programs

    private struct Programs {
        let server: RunningProgram
        let agent: RunningProgram
        let echo: RunningProgram
        let socks: RunningProgram
        let relay: RunningProgram

        var all: [RunningProgram] { [self.server, self.agent, self.echo, self.socks, self.relay] }
    }

    private func start(in lab: NATLab) async throws -> Programs {
        let server = try lab.launch("rtun-server", on: "server", ["--addr", "203.0.113.10:8888"])
        _ = try await Cluster.readyPort(of: server)
        let agent = try lab.launch("rtun-agent", on: "agent", [NATLab.serverURL, "--agent", "lab"])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let echo = try await lab.echo(port: Self.echoPort)
        let socks = try lab.launch("rtun-socks", on: "client", [NATLab.serverURL])
        let relay = try lab.launch(
            "rtun-relay", on: "client", ["-L", "127.0.0.1:7001?to=127.0.0.1:\(Self.echoPort)", NATLab.serverURL])
        _ = try await socks.line("the ready line") { $0.hasPrefix("rtun-socks ready ") }
        _ = try await relay.line("the ready line") { $0.hasPrefix("rtun-relay ready ") }
        return Programs(server: server, agent: agent, echo: echo, socks: socks, relay: relay)
    }

    private func outcomes(_ client: NATLab.Kind, _ agent: NATLab.Kind) async throws -> (socks: Outcome, relay: Outcome)
    {
        let lab = try await NATLab(client: client, agent: agent)
        let programs = try await self.start(in: lab)
        async let socksTime = lab.traffic(on: "client", "socks 2080 \(Self.echoPort)")
        async let relayTime = lab.traffic(on: "client", "udp 7001")
        var (socks, relay) = (Outcome(), Outcome())
        socks.firstByte = try? await socksTime
        relay.firstByte = try? await relayTime
        socks.path = Self.path(of: programs.socks)
        relay.path = Self.path(of: programs.relay)
        await stopAll(programs.all)
        return (socks, relay)
    }

    /// How the program has reached the agent in the end.
    private static func path(of program: RunningProgram) -> String {
        let line = program.errors.lines.last {
            $0.contains("event=peer.connected") || $0.contains("event=peer.path_changed")
        }
        return line?.split(separator: " ").first { $0.hasPrefix("path=") }.map { String($0.dropFirst(5)) } ?? "none"
    }

    private func write(_ rows: [String]) throws {
        guard let file = ProcessInfo.processInfo.environment["RTUN_NAT_TABLE"] else { return }
        let head = ["| client behind | agent behind | rtun-socks | rtun-relay |", "|---|---|---|---|"]
        try (head + rows).map { $0 + "\n" }.joined().write(toFile: file, atomically: true, encoding: .utf8)
    }
}
