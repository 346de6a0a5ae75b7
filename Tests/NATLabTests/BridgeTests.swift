import Foundation
import TestSupport
import Testing

/// What goes through the server: it can neither read nor alter it, and shares what it has.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct BridgeTests {
    private static let middlePort = 8889

    /// Everybody reaches the server through a program that reads what the server reads.
    ///
    /// - Parameter oneIn: in one of how many bridged messages it flips a bit; 0 for none.
    private static func startMiddle(in lab: NATLab, oneIn: Int) async throws -> RunningProgram {
        let middle = try lab.launch(
            "/usr/bin/python3", on: "server",
            [
                Interpreter.root + "/Tests/NATLabTests/bridge_middle.py", "\(Self.middlePort)", "203.0.113.10", "8888",
                "\(oneIn)",
            ])
        _ = try await middle.line("the one in the middle") { $0 == "listening" }
        return middle
    }

    private static func counts(of middle: RunningProgram) async throws -> [String: Int] {
        let known = middle.output.lines.count
        try middle.write("\n")
        let line = await middle.output.firstLine(from: known) { $0.hasPrefix("messages=") }
        return KeyValues.parse(line ?? "").compactMapValues(Int.init)
    }

    private static func options() -> LabPrograms.Options {
        var options = LabPrograms.Options()
        options.serverPort = Self.middlePort
        options.clients = ["--p2p", "bridge"]
        return options
    }

    @Test func `the server sees nothing of what it relays`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let middle = try await Self.startMiddle(in: lab, oneIn: 0)
        let programs = try await LabPrograms(on: lab, Self.options())
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { _ = try await programs.firstByte(client) }
        let size = 10_000_000
        _ = try await programs.download(size).end()
        _ = try await programs.flood()
        let counts = try await Self.counts(of: middle)
        // It has read it all, once from each side, and reads what is not encrypted.
        #expect(counts["bytes"] ?? 0 > 2 * size, "\(counts)")
        #expect(counts["agent_seen"] == 1)
        #expect(counts["marker_seen"] == 0)
        await programs.stop(middle, socks, relay)
    }

    @Test func `a server that alters what it relays only causes retransmissions`() async throws {
        let lab = try await NATLab(client: .port, agent: .port)
        let middle = try await Self.startMiddle(in: lab, oneIn: 50)
        let programs = try await LabPrograms(on: lab, Self.options())
        let socks = try await programs.start(.socks)
        let relay = try await programs.start(.relay)
        for client in LabPrograms.Client.allCases { _ = try await programs.firstByte(client) }
        // These look at what they get: the download at its hash, the flood at each datagram.
        _ = try await programs.download(10_000_000).end()
        let (_, lost) = try await programs.flood()
        #expect(lost > 0)
        let counts = try await Self.counts(of: middle)
        #expect(counts["tampered"] ?? 0 > 50, "\(counts)")
        #expect(try await Int(Cluster.statistics(of: relay)["records_rejected"] ?? "0") ?? 0 > 0)
        for program in [socks, relay] {
            #expect(program.events("peer.connected").count == 1, "\(program.errors.text)")
            #expect(program.events("peer.closed").isEmpty)
        }
        await programs.stop(middle, socks, relay)
    }

    /// Twice as much as it may send, through one channel: most is lost, nothing is late.
    @Test func `a channel at its rate is not delayed for long, and counters say what was dropped`()
        async throws
    {
        let rate = 2_000_000
        var options = LabPrograms.Options()
        options.server = ["--bridge-rate", "2M"]
        options.clients = ["--p2p", "bridge"]
        let lab = try await NATLab(client: .port, agent: .port)
        let programs = try await LabPrograms(on: lab, options)
        let relay = try await programs.start(.relay)
        _ = try await programs.firstByte(.relay)
        let size = 1000
        let spray = try lab.launchTraffic(
            on: "client", "spray \(LabPrograms.relayPort) 1 20 \(size) \(2 * rate / (8 * size))")
        let steady = try programs.steady(.relay, interval: 5)
        try await steady.flows()
        try await steady.restart()
        try await Task.sleep(for: .seconds(8))
        let report = try await steady.report()
        // 250 ms at the server and 200 ms at a peer, there and back.
        #expect(report.worst < .milliseconds(1200), "\(report)")
        #expect(report.answered > 50, "\(report)")
        let server = try await Cluster.statistics(of: programs.server, event: "bridge.stats").compactMapValues(Int.init)
        #expect(server["channels"] == 1, "\(server)")
        #expect(server["datagrams"] ?? 0 > 1000, "\(server)")
        #expect(server["waits_rate"] ?? 0 > 0, "\(server)")
        #expect((server["dropped_queue_full"] ?? 0) + (server["dropped_too_old"] ?? 0) > 1000, "\(server)")
        let client = try await Cluster.statistics(of: relay, event: "bridge.stats").compactMapValues(Int.init)
        #expect(client["datagrams"] ?? 0 > 2000, "\(client)")
        await programs.stop(spray, steady.program, relay)
    }

    @Test func `a hundred channels share a bridge that is full, and its memory does not grow`() async throws {
        let channels = 100
        let cap = 40_000_000.0
        var options = LabPrograms.Options()
        options.server = ["--bridge-total-rate", "40M"]
        options.agent = ["--max-peers", "200"]
        options.clients = ["--p2p", "bridge"]
        options.relay = (0..<channels).flatMap {
            ["-L", "127.0.0.1:\(LabPrograms.relayPort + $0)?to=127.0.0.1:\(LabPrograms.sinkPort)"]
        }
        let lab = try await NATLab(client: .port, agent: .port)
        let programs = try await LabPrograms(on: lab, options)
        let relay = try await programs.start(.relay)
        try await eventually(within: .seconds(30), "a hundred channels") {
            relay.events("peer.connected").count >= channels
        }
        #expect(relay.events("peer.connected").allSatisfy { $0["path"] == "bridge" })
        // Twice as much as fits, every second channel three times as much as the others: shares don't follow demand.
        let (size, seconds) = (1000, 8)
        let rate = Int(2.4 * cap / Double(8 * size))
        let spray = try lab.launchTraffic(
            on: "client", "spray \(LabPrograms.relayPort) \(channels) \(seconds + 6) \(size) \(rate)")
        struct Counts: Decodable {
            /// Of the counting, in seconds.
            let time: Double
            /// Of datagrams, by channel.
            let counts: [String: Int]
        }
        func counts() async throws -> Counts {
            let text = try await lab.traffic(on: "agent", "counts \(LabPrograms.echoPort)")
            return try JSONDecoder().decode(Counts.self, from: Data(text.utf8))
        }
        try await Task.sleep(for: .seconds(4))
        let (before, memoryBefore) = (try await counts(), try programs.server.residentBytes())
        try await Task.sleep(for: .seconds(seconds))
        let (after, memoryAfter) = (try await counts(), try programs.server.residentBytes())
        let shares = (0..<channels).map {
            Double(after.counts["\($0)", default: 0] - before.counts["\($0)", default: 0])
        }
        let mean = shares.reduce(0, +) / Double(channels)
        for (channel, share) in shares.enumerated() {
            #expect(abs(share - mean) < 0.2 * mean, "channel \(channel): \(share) datagrams, \(mean) on average")
        }
        let payloadRate = mean * Double(channels) * Double(size * 8) / (after.time - before.time)
        #expect(payloadRate < cap && payloadRate > 0.6 * cap, "\(payloadRate) bit/s")
        // As much again as is carried would have to stay without a bound, 40 MB. After a moment without its share of the
        // processor the queues may be full: 128 KiB each.
        #expect(memoryAfter.now - memoryBefore.now < 16 << 20, "\(memoryBefore) \(memoryAfter)")
        await programs.stop(spray, relay)
    }
}
