import Foundation
import TestSupport
import Testing

/// `--p2p`: which paths may be taken.
@Suite(
    .serialized, .timeLimit(.minutes(3)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct PathChoiceTests {
    /// Side by side: all of them just wait for ICE to give up.
    @Test func `with --p2p direct and no direct path, both sides say what they tried`() async throws {
        let pairs: [(client: NATKind, agent: NATKind, options: [String], reason: String?)] = [
            (.symmetric, .symmetric, [], "both sides' NATs"), (.serverOnly, .open, [], nil),
            (.open, .noUDP, [], "UDP is blocked"), (.ipv6, .open, [], nil),
            (.symmetric, .port, ["--p2p-spread", "0"], "switched off"),
        ]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pair in pairs {
                group.addTask { try await Self.failDirect(pair.client, pair.agent, pair.options, pair.reason) }
            }
            try await group.waitForAll()
        }
    }

    private static func failDirect(_ client: NATKind, _ agent: NATKind, _ more: [String], _ reason: String?)
        async throws
    {
        var options = LabPrograms.Options()
        options.clients = ["--p2p", "direct"] + more
        let lab = try await NATLab(client: client, agent: agent)
        let programs = try await LabPrograms(on: lab, options)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        let asked = try lab.launchTraffic(on: "client", "socks \(LabPrograms.proxyPort) \(LabPrograms.echoPort)")
        for program in [socks, relay, programs.agent] {
            let line = try await program.logLine(within: .seconds(25), "the paths that were tried") {
                $0.contains("event=peer.paths")
            }
            let event = try #require(LogEvent(line))
            let report = try #require(event["report"])
            switch (client, agent) {
            case (.ipv6, _): #expect(report.contains("no address family"), "\(report)")
            default:
                // Every pair, and how it ended.
                let count = try #require(Self.number(in: report, after: "pairs: "))
                let pairs = report.components(separatedBy: " -> ").dropFirst()
                #expect(count > 0 && pairs.count == count, "\(report)")
                // A pair whose like was still being checked has not had its turn.
                #expect(pairs.allSatisfy { $0.contains("no answer to") || $0.contains("not tried") }, "\(report)")
                #expect(pairs.contains { $0.contains("no answer to") }, "\(report)")
            }
            if let reason { #expect(event["reason"]?.contains(reason) == true, "\(line)") }
            #expect(program.events("peer.connected").isEmpty)
        }
        #expect(try await asked.end(within: .seconds(30)) == .exit(1))
        await programs.stop(socks, relay)
    }

    private static func number(in text: String, after words: String) -> Int? {
        text.range(of: words).flatMap { Int(text[$0.upperBound...].prefix(while: \.isNumber)) }
    }

    @Test(arguments: ["client", "agent"])
    func `with --p2p bridge on either side, peers exchange datagrams only through the server`(side: String)
        async throws
    {
        var options = LabPrograms.Options()
        if side == "client" { options.clients = ["--p2p", "bridge"] } else { options.agent = ["--p2p", "bridge"] }
        let lab = try await NATLab(client: .open, agent: .open)
        let programs = try await LabPrograms(on: lab, options)
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { _ = try await programs.firstByte(client) }
        _ = try await programs.download(20_000_000).end()
        _ = try await programs.flood()
        for program in [socks, relay, programs.agent] {
            #expect(program.path == "bridge")
            #expect(program.events("peer.path_changed").isEmpty)
        }
        for side in NATLab.Side.allCases { #expect(try await lab.count(side) == 0) }
        await programs.stop(socks, relay)
    }

    @Test func `a bridge that is used because UDP is blocked says so, on both sides`() async throws {
        let lab = try await NATLab(client: .open, agent: .noUDP)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        _ = try await programs.firstByte(.socks)
        for (program, side) in [(socks, "the other side"), (programs.agent, "this side")] {
            let line = try await program.logLine(within: .seconds(60), "the reason") {
                $0.contains(
                    "info no direct path to the peer, traffic goes by way of the server: UDP is blocked on \(side)")
            }
            #expect(line.contains("event=peer.paths") && line.contains(" cause="))
        }
        await programs.stop(socks)
    }

    @Test func `by default peers move to a direct path`() async throws {
        let lab = try await NATLab(client: .open, agent: .open)
        let programs = try await LabPrograms(on: lab)
        let socks = try await programs.start(.socks)
        _ = try await programs.firstByte(.socks)
        try await socks.awaitPath("direct", within: .seconds(10))
        for side in NATLab.Side.allCases { #expect(try await lab.count(side) ?? 0 > 0) }
        await programs.stop(socks)
    }
}
