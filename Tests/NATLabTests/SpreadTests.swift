import Foundation
import TestSupport
import Testing

/// How often port prediction and the birthday spread get through between a symmetric NAT and one that lets in only the port
/// that it was told.
///
/// `RTUN_NAT_SPREAD_TRIES` says how often to try for each of client and agent behind the symmetric NAT, and with
/// `RTUN_NAT_SPREAD=FILE` the result is written to a file: `make nat-spread`. Otherwise the first success is enough.
@Suite(
    .serialized, .timeLimit(.minutes(60)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct SpreadTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let tries = Self.environment["RTUN_NAT_SPREAD_TRIES"].flatMap(Int.init)
    private static let mostTries = 5

    @Test func `guessing ports finds a direct path`() async throws {
        var rows: [String] = []
        for (client, agent) in [(NATKind.symmetric, NATKind.port), (.port, .symmetric)] {
            let lab = try await NATLab(client: client, agent: agent)
            let programs = try await LabPrograms(on: lab)
            var seconds: [Double] = []
            for _ in 0..<(Self.tries ?? Self.mostTries) where Self.tries != nil || seconds.isEmpty {
                for side in NATLab.Side.allCases { try await lab.change("flush \(side)") }
                let relay = try await programs.start(.relay)
                _ = try await programs.firstByte(.relay)
                if (try? await relay.awaitPath("direct", within: .seconds(20))) != nil,
                    let begin = relay.events("peer.connected").first,
                    let change = relay.events("peer.path_changed").first(where: { $0["to"] == "direct" })
                {
                    seconds.append(change.time - begin.time)
                    // What was punched has to carry something, too.
                    let (mbits, lost) = try await programs.flood()
                    #expect(mbits > 1 && lost < 1 && relay.path == "direct")
                }
                await relay.kill9()
            }
            #expect(!seconds.isEmpty, "none of \(Self.tries ?? Self.mostTries) tries, \(client) to \(agent)")
            let median = seconds.sorted().dropFirst(seconds.count / 2).first ?? .nan
            rows.append(
                "| \(client) | \(agent) | \(seconds.count) of \(Self.tries ?? Self.mostTries) | "
                    + "\(median.formatted(.number.precision(.fractionLength(1)))) s | "
                    + "\((seconds.max() ?? .nan).formatted(.number.precision(.fractionLength(1)))) s |")
            await programs.stop()
        }
        guard let file = Self.environment["RTUN_NAT_SPREAD"] else { return }
        let head = ["| client | agent | direct | after (median) | after (longest) |", "|---|---|---|---|---|"]
        try (head + rows).map { $0 + "\n" }.joined().write(toFile: file, atomically: true, encoding: .utf8)
    }
}
