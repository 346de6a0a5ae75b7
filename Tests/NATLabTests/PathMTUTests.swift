import Foundation
import TestSupport
import Testing

/// Paths that carry less than the machine's own network, and nobody tells: ICMP is filtered.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct PathMTUTests {
    /// The largest payload that a relay can carry over a path: less IP and UDP headers, record overhead, and frame header.
    private static func limit(mtu: Int, kind: NATKind) -> Int { mtu - (kind.ipv4 == nil ? 48 : 28) - 37 - 6 }

    @Test(arguments: [1400, 1280], [NATKind.port, .ipv6])
    func `a narrow path carries downloads, and as large datagrams as fit`(mtu: Int, kind: NATKind) async throws {
        let lab = try await NATLab(client: kind, agent: kind)
        try await lab.change("mtu agent \(mtu)")
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { #expect(try await programs.firstByte(client) < 5000) }
        for program in [socks, relay] { try await program.awaitPath("direct", within: .seconds(15)) }
        _ = try await programs.download(20_000_000).end()
        try await Self.expectLimit(of: relay, mtu: mtu, kind: kind, programs: programs)
        await programs.stop(socks, relay)
    }

    @Test
    func `open connections go on within 15 s after the path's MTU has shrunk`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { _ = try await programs.firstByte(client) }
        for program in [socks, relay] { try await program.awaitPath("direct", within: .seconds(15)) }
        try await Self.expectLimit(of: relay, mtu: 1500, kind: .port, programs: programs)
        let download = try programs.download(100_000_000, rate: 10_000_000)
        let steady = try programs.steady(.relay)
        try await download.reaches(tenths: 3)
        try await steady.restart()
        try await lab.change("mtu client 1280")
        let clock = ContinuousClock()
        let began = clock.now
        try await Self.expectLimit(of: relay, mtu: 1280, kind: .port, programs: programs)
        #expect(clock.now - began < .seconds(15))
        let (_, pause) = try await download.end()
        #expect(pause < .seconds(15), "\(pause)")
        // Small datagrams have never been in the way.
        let report = try await steady.report()
        #expect(report.longestGap < .seconds(1), "\(report)")
        #expect(socks.events("peer.closed").isEmpty && relay.events("peer.closed").isEmpty)
        await programs.stop(socks, relay, download.program, steady.program)
    }

    /// Waits until the relay's limit is what the path carries, and sees whether such datagrams get through.
    private static func expectLimit(
        of relay: RunningProgram, mtu: Int, kind: NATKind, programs: LabPrograms
    ) async throws {
        // Both families have to be fine, should the path change between them: that of IPv6 on Ethernet is never exceeded.
        let most = min(Self.limit(mtu: mtu, kind: kind), 1409)
        try await eventually(within: .seconds(15), "a limit of \(most) or a little less") {
            let limit = try await Cluster.statistics(of: relay)["limit"].flatMap(Int.init) ?? 0
            return limit <= most && limit > most - 40
        }
        let limit = try await Cluster.statistics(of: relay)["limit"].flatMap(Int.init) ?? 0
        let (mbits, lost) = try await programs.flood(size: limit)
        #expect(mbits > 1 && lost < 1, "\(mbits) Mbit/s with \(lost) % lost of datagrams of \(limit) bytes")
    }
}
