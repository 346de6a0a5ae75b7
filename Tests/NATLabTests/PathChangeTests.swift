import Foundation
import TestSupport
import Testing

/// Paths come and go below open connections: bytes arrive all the same.
@Suite(
    .serialized, .timeLimit(.minutes(10)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct PathChangeTests {
    /// 100 MB, at 10 MB a second: ten seconds in which something can happen.
    private static let size = 100_000_000
    private static let rate = 10_000_000

    @Test
    func `a download begins on the bridge and ends on a direct path`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        try await lab.change("block client on")
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let download = try programs.download(Self.size, rate: Self.rate)
        try await download.reaches(tenths: 1)
        #expect(socks.path == "bridge")
        try await lab.change("block client off")
        let reason = try await socks.pathChange(from: "bridge", to: "direct")
        #expect(!reason.isEmpty)
        try await programs.agent.pathChange(from: "bridge", to: "direct")
        _ = try await download.end()
        #expect(socks.path == "direct")
        #expect(programs.agent.path == "direct")
        await programs.stop(socks)
    }

    @Test
    func `a download that loses its direct path goes on over the bridge within 10 s`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let download = try programs.download(Self.size, rate: Self.rate)
        try await socks.awaitPath("direct", within: .seconds(10))
        try await download.reaches(tenths: 5)
        #expect(socks.path == "direct")
        try await lab.change("block client on")
        let reason = try await socks.pathChange(from: "direct", to: "bridge")
        #expect(!reason.isEmpty)
        try await programs.agent.pathChange(from: "direct", to: "bridge")
        let (_, pause) = try await download.end()
        #expect(pause < .seconds(10), "\(pause)")
        #expect(socks.path == "bridge")
        await programs.stop(socks)
    }

    @Test(
        arguments: NATLab.Side.allCases,
        [NATKind.port, .dual(.port)])
    func `a download goes on when a side moves to another network`(side: NATLab.Side, kind: NATKind) async throws {
        let lab = try await NATLab(client: kind, agent: kind)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        let steady = try programs.steady(.relay)
        let download = try programs.download(Self.size, rate: Self.rate)
        for program in [socks, relay] { try await program.awaitPath("direct", within: .seconds(10)) }
        try await download.reaches(tenths: 3)
        let known = [socks, relay].map(\.errors.lines.count)
        try await steady.restart()
        try await lab.change("switch \(side)")
        let (_, pause) = try await download.end()
        #expect(pause < .seconds(15), "\(pause)")
        for (program, start) in zip([socks, relay], known) {
            let changes = program.events("peer.path_changed", from: start)
            #expect(!changes.isEmpty)
            #expect(changes.allSatisfy { $0["from"] != nil && $0["to"] != nil && $0["reason"]?.isEmpty == false })
            // The same channels as before, and not new ones.
            #expect(program.events("peer.connected").count == 1)
            #expect(program.events("peer.closed").isEmpty)
            // The bridge may have helped; it does not stay.
            try await program.awaitPath("direct", within: .seconds(20))
        }
        try await steady.flows()
        let report = try await steady.report()
        #expect(report.longestGap < .seconds(15), "\(report)")
        await programs.stop(socks, relay, download.program, steady.program)
    }

    /// Forgotten mappings come again with the next datagram: of a symmetric NAT with another port, and of one that has
    /// another address with that.
    @Test(arguments: [("flush", NATKind.port), ("flush", .symmetric), ("rebind", .port)])
    func `traffic goes on within 10 s when a NAT has other mappings`(what: String, kind: NATKind) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for side in NATLab.Side.allCases {
                group.addTask { try await Self.outlastNewMappings(what, kind, at: side) }
            }
            try await group.waitForAll()
        }
    }

    private static func outlastNewMappings(_ what: String, _ kind: NATKind, at side: NATLab.Side) async throws {
        let (client, agent) = side == .client ? (kind, NATKind.open) : (.open, kind)
        let lab = try await NATLab(client: client, agent: agent)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        let steady = [try programs.steady(.socks), try programs.steady(.relay)]
        for program in [socks, relay] { try await program.awaitPath("direct", within: .seconds(10)) }
        for traffic in steady { try await traffic.flows() }
        for _ in 0..<2 {
            for traffic in steady { try await traffic.restart() }
            try await lab.change("\(what) \(side)")
            for traffic in steady {
                try await traffic.flows()
                try await traffic.reaches(sent: 50)
                let report = try await traffic.report()
                #expect(report.longestGap < .seconds(10), "\(report)")
            }
        }
        for program in [socks, relay] {
            try await program.awaitPath("direct", within: .seconds(20))
            #expect(program.events("peer.connected").count == 1)
            #expect(program.events("peer.closed").isEmpty)
        }
        await programs.stop(socks, relay, steady[0].program, steady[1].program)
    }
}
