import Foundation
import TestSupport
import Testing

/// Networks that lose packets: slower, and nothing else.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct LossTests {
    private static let cases = [("direct", NATKind.port), ("bridge", NATKind.serverOnly)]

    @Test(arguments: [2, 10], Self.cases)
    func `connections and flows go on when packets are lost`(percent: Int, kind: (path: String, client: NATKind))
        async throws
    {
        let lab = try await NATLab(client: kind.client, agent: .port)
        try await lab.change("loss client \(percent)")
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { #expect(try await programs.firstByte(client) < 10_000) }
        for program in [socks, relay] { try await program.awaitPath(kind.path, within: .seconds(20)) }
        let steady = try programs.steady(.relay, interval: 5)
        _ = try await programs.download(5_000_000).end()
        for _ in 0..<20 { #expect(try await programs.firstByte(.socks) < 5000) }
        try await steady.reaches(sent: 1000)
        let report = try await steady.report()
        if kind.path == "direct" {
            // There and back; twice that, because chance may have it.
            #expect(Double(report.lost) < Double(report.sent) * Double(percent) / 100 * 4, "\(report)")
        } else {
            // TCP below loses nothing for good; what is late is given up.
            #expect(report.answered * 2 > report.sent, "\(report)")
        }
        for program in [socks, relay] {
            #expect(program.path == kind.path)
            #expect(program.events("peer.connected").count == 1, "\(program.errors.text)")
            #expect(program.events("peer.closed").isEmpty)
        }
        await programs.stop(socks, relay, steady.program)
    }
}
