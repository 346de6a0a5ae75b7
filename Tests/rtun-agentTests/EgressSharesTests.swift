import Basics
import Testing

@testable import rtun_agent

@Suite struct EgressSharesTests {
    private func egress(streams: Int, flows: Int = 1) -> Egress {
        Egress(dialer: EgressDialer(policy: EgressPolicy([])), maximumStreams: streams, maximumFlows: flows)
    }

    private func client(_ number: UInt8, rule: String? = nil) throws -> Client {
        let key = try #require(CertificateFingerprint(bytes: [UInt8](repeating: number, count: 32)))
        let line = try KeyLines(parsing: Array("\(key) \(rule ?? "")".utf8)).lines[0]
        return Client(
            .key(key), rule: rule == nil ? nil : try ClientRule(parsing: line),
            rules: EgressRules(targets: EgressPolicy([])))
    }

    @Test func `a client alone has most connections, and newcomers find room`() throws {
        let egress = self.egress(streams: 80)
        let clients = try (1...3).map { try self.client($0) }
        let tunnels = clients.map { egress.tunnelOpened(of: $0) }
        let counts = zip(clients, tunnels).map { client, tunnel in
            (0..<80).count { _ in egress.takeStream(by: tunnel, of: client) == nil }
        }
        #expect(counts == [70, 9, 1])
        #expect(egress.maximumStreamsAlone == 70)
        #expect(egress.takeStream(by: tunnels[0], of: clients[0]) == .full(limit: 80))
        egress.giveBackStream(by: tunnels[0], of: clients[0])
        #expect(egress.takeStream(by: tunnels[0], of: clients[0]) == .share(limit: 80))
    }

    @Test func `tunnels of one client share what it may have, and leave all others their part`() throws {
        let egress = self.egress(streams: 80)
        let (greedy, other) = (try self.client(1), try self.client(2))
        let tunnels = (0..<20).map { _ in egress.tunnelOpened(of: greedy) }
        // As many tunnels as it likes.
        for tunnel in tunnels {
            while egress.takeStream(by: tunnel, of: greedy) == nil {}
        }
        let tunnel = egress.tunnelOpened(of: other)
        #expect((0..<80).count { _ in egress.takeStream(by: tunnel, of: other) == nil } >= 8)
    }

    @Test func `the line of a client bounds its connections, over all its tunnels`() throws {
        let egress = self.egress(streams: 80)
        let client = try self.client(1, rule: "max-streams=3")
        let tunnels = [egress.tunnelOpened(of: client), egress.tunnelOpened(of: client)]
        for tunnel in tunnels + tunnels.prefix(1) { #expect(egress.takeStream(by: tunnel, of: client) == nil) }
        #expect(egress.takeStream(by: tunnels[1], of: client) == .own(limit: 3))
        egress.giveBackStream(by: tunnels[0], of: client)
        #expect(egress.takeStream(by: tunnels[1], of: client) == nil)
    }

    @Test func `a flow that comes too fast costs nobody another one`() throws {
        let egress = self.egress(streams: 1, flows: 2)
        let (hasty, other) = (try self.client(1), try self.client(2))
        let relays = [egress.relayOpened {}, egress.relayOpened {}]
        for _ in 0..<2 { #expect(egress.takeFlow(by: relays[1], of: other) { true } == .taken) }
        #expect(egress.takeFlow(by: relays[0], of: hasty) { false } == .tooFast)
        #expect(!egress.owesFlow(relays[1]) && egress.summary.flows == 2)
        #expect(egress.takeFlow(by: relays[0], of: hasty) { true } == .taken)
        #expect(egress.owesFlow(relays[1]))
        #expect(egress.takeFlow(by: relays[0], of: hasty) { true } == .own)
    }

    @Test func `limits stay within that of open files`() throws {
        var options = try EgressOptions.parse([])
        #expect(EgressLimits(options, openFiles: 65_536, eventLoops: 2) == EgressLimits(streams: 4096, flows: 16_384))
        let few = EgressLimits(options, openFiles: 4096, eventLoops: 2)
        #expect(few.streams == few.flows && (2000...3072).contains(few.flows))
        options = try EgressOptions.parse(["--max-flows", "\(Int.max)", "--max-streams", "1"])
        let huge = EgressLimits(options, openFiles: 1024, eventLoops: 2)
        #expect(huge.streams == 1 && (500...768).contains(huge.flows))
        let least = EgressLimits(options, openFiles: 50, eventLoops: 2)
        #expect(least.streams == 1 && least.flows == 3)
    }
}
