import Foundation
import TestSupport
import Testing

/// Devices that swallow sends of several datagrams whole (UDP GSO), from the start or all at once.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct SegmentationTests {
    @Test(arguments: NATLab.Side.allCases)
    func `a device that swallows segments slows neither tunnel nor relay`(side: NATLab.Side) async throws {
        let lab = try await NATLab(client: .open, agent: .open)
        try await lab.change("swallow \(side) on")
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { _ = try await programs.firstByte(client) }
        for program in [socks, relay] { try await program.awaitPath("direct", within: .seconds(10)) }
        // What a download needs of the client are acknowledgements, which leave singly; its relay sends bursts.
        let (mbits, pause) = try await programs.download(50_000_000).end()
        #expect(mbits > 50 && pause < .seconds(2), "\(mbits) Mbit/s, a pause of \(pause)")
        let flood = try await programs.flood(seconds: 2)
        #expect(flood.lost < 1, "\(flood)")
        await programs.stop(socks, relay)
    }

    @Test
    func `a download outlasts a device that begins to swallow segments`() async throws {
        let lab = try await NATLab(client: .open, agent: .open)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let download = try programs.download(100_000_000, rate: 10_000_000)
        try await socks.awaitPath("direct", within: .seconds(10))
        try await download.reaches(tenths: 3)
        try await lab.change("swallow agent on")
        let (_, pause) = try await download.end()
        #expect(pause < .seconds(10), "\(pause)")
        await programs.stop(socks)
    }
}
