import Foundation
import NIOCore
import STUN
import TestSupport
import Testing

@testable import ICE

/// Guessing ports: the odds, the plan, and the guesses.
struct SpreadTests {
    // MARK: Odds

    @Test(
        arguments: [
            (0, 100, 0), (100, 0, 0), (1, 1, 1 / 64512), (64512, 1, 1), (1, 64512, 1), (32256, 32257, 1),
            // 1 − (1 − 2/64512)(1 − 2/64511)
            (2, 2, 6.200348768492514e-05),
        ] as [(Int, Int, Double)])
    func `the odds of simple cases are right`(sockets: Int, probes: Int, expected: Double) {
        #expect(abs(SpreadOdds.odds(sockets: sockets, probes: probes) - expected) < 1e-12)
    }

    @Test(arguments: [(16, 64), (64, 256), (128, 512), (256, 1024), (1024, 64)])
    func `the odds agree with a simulation`(sockets: Int, probes: Int) {
        let tries = 400
        var generator = SeededGenerator(UInt64(sockets))
        var hits = 0
        for _ in 0..<tries {
            // The NAT's ports are different ones too, drawn like guesses.
            let open = Set(PortGuesses(nil, count: sockets, generator: SeededGenerator(generator.next())))
            let guesses = PortGuesses(nil, count: probes, generator: SeededGenerator(generator.next()))
            if guesses.contains(where: open.contains) { hits += 1 }
        }
        let odds = SpreadOdds.odds(sockets: sockets, probes: probes)
        let deviation = (odds * (1 - odds) / Double(tries)).squareRoot()
        #expect(abs(Double(hits) / Double(tries) - odds) < 4 * deviation + 0.001)
    }

    @Test func `more sockets or more probes never lower the odds`() {
        for sockets in [1, 10, 100, 1000] {
            for probes in [1, 10, 100, 1000] {
                let odds = SpreadOdds.odds(sockets: sockets, probes: probes)
                #expect(SpreadOdds.odds(sockets: sockets + 1, probes: probes) > odds)
                #expect(SpreadOdds.odds(sockets: sockets, probes: probes + 1) > odds)
            }
        }
    }

    @Test func `the table in the documentation is computed`() throws {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let text = try String(contentsOf: folder.appendingPathComponent("docs/nat.md"), encoding: .utf8)
        let probes = [64, 256, 512, 1024, 1800]
        #expect(text.contains("| sockets | " + probes.map { "\($0) probes" }.joined(separator: " | ") + " |"))
        for sockets in [16, 64, 128, 256, 512, 1024] {
            let odds = probes.map { probes in
                let percent = SpreadOdds.odds(sockets: sockets, probes: probes) * 100
                return percent >= 99.95 ? "> 99.9 %" : String(format: "%.1f %%", percent)
            }
            #expect(text.contains("| \(sockets) | " + odds.joined(separator: " | ") + " |"))
        }
    }

    // MARK: Plan

    private static func plan(_ local: Bool, _ peer: Bool, _ localSpread: Int = 256, _ peerSpread: Int = 256)
        -> SpreadPlan
    {
        SpreadPlan(
            localDependsOnDestination: local, peerDependsOnDestination: peer, localSpread: localSpread,
            peerSpread: peerSpread)
    }

    @Test func `the side behind the symmetric NAT opens sockets, and the other one probes`() {
        #expect(
            Self.plan(true, false) == .opensSockets(count: 256, pacing: .nanoseconds(6_666_666)))
        #expect(Self.plan(false, true) == .probesPorts(count: 1024, pacing: .milliseconds(10)))
        // The smaller wish counts, on both sides alike.
        #expect(Self.plan(true, false, 16, 256) == .opensSockets(count: 16, pacing: .nanoseconds(6_666_666)))
        #expect(Self.plan(false, true, 256, 16) == .probesPorts(count: 64, pacing: .milliseconds(10)))
    }

    @Test func `no ports are guessed if it is useless or switched off`() {
        #expect(Self.plan(false, false) == .none(.notNeeded))
        #expect(Self.plan(true, true) == .none(.bothDependOnDestination))
        for hard in [false, true] {
            #expect(Self.plan(hard, !hard, 0, 256) == .none(.switchedOffHere))
            #expect(Self.plan(hard, !hard, 256, 0) == .none(.switchedOffAtPeer))
        }
    }

    @Test func `a spread ends within 12 s and sends at most 150 datagrams a second`() {
        for spread in [1, 2, 100, 256, 257, 300, 449, 450, 451, 1000, 1024, 5000, .max] {
            for plan in [Self.plan(true, false, spread, spread), Self.plan(false, true, spread, spread)] {
                switch plan {
                case .opensSockets(let count, let pacing), .probesPorts(let count, let pacing):
                    #expect((1...1800).contains(count))
                    #expect(pacing >= SpreadPlan.shortestPacing && pacing <= SpreadPlan.usualPacing)
                    #expect(pacing * count <= SpreadPlan.longestTime)
                case .none(let obstacle):
                    Issue.record("\(obstacle)")
                }
            }
        }
    }

    // MARK: Guesses

    private static func mapped(_ ports: [UInt16], base: UInt16? = nil) throws -> MappedPorts {
        MappedPorts(
            outside: try SocketAddress(ipAddress: "203.0.113.9", port: Int(ports.last ?? 0)), basePort: base,
            ports: ports)
    }

    @Test(arguments: [0, 1, 100, 5000, 64_510])
    func `guesses are different ports of 1024 to 65535, and none that is known`(count: Int) throws {
        let guesses = Array(
            PortGuesses(try Self.mapped([40_000, 40_001]), count: count, generator: SeededGenerator(3)))
        #expect(guesses.count == count)
        #expect(Set(guesses).count == count)
        #expect(guesses.allSatisfy { $0 >= 1024 && $0 != 40_000 && $0 != 40_001 })
    }

    @Test func `there are no more guesses than ports`() throws {
        let all = Set(PortGuesses(nil, count: .max, generator: SeededGenerator(3)))
        #expect(all.count == 64_512)
        let none = Array(PortGuesses(nil, count: -1, generator: SeededGenerator(3)))
        #expect(none.isEmpty)
    }

    @Test func `random guesses are spread evenly`() {
        var quarters = [0, 0, 0, 0]
        for port in PortGuesses(nil, count: 4000, generator: SeededGenerator(4)) {
            quarters[(Int(port) - 1024) / 16_128] += 1
        }
        // 1000 each; the standard deviation is 27.
        #expect(quarters.allSatisfy { abs($0 - 1000) < 120 })
    }

    struct Prediction: Sendable, CustomTestStringConvertible {
        let known: [UInt16]
        var base: UInt16?
        let next: UInt16
        /// So many guesses are enough.
        let limit: Int

        var testDescription: String { "\(self.known) → \(self.next)" }
    }

    private static let predictions = [
        // The next of a sequence, whatever its stride and direction.
        Prediction(known: [40_000, 40_001], next: 40_002, limit: 1),
        Prediction(known: [40_000, 40_002], next: 40_004, limit: 1),
        Prediction(known: [40_010, 40_008], next: 40_006, limit: 1),
        Prediction(known: [40_000, 40_016], next: 40_032, limit: 1),
        // Somebody else's mappings in between.
        Prediction(known: [40_000, 40_002, 40_006], next: 40_008, limit: 1),
        Prediction(known: [40_000, 40_001], next: 40_006, limit: 5),
        Prediction(known: [40_000, 40_004], next: 40_005, limit: 40),
        // Told in the other order.
        Prediction(known: [40_001, 40_000], next: 40_002, limit: 40),
        // One port only.
        Prediction(known: [40_000], next: 40_001, limit: 2),
        Prediction(known: [40_000], next: 39_999, limit: 2),
        Prediction(known: [40_000], next: 40_008, limit: 16),
        // Kept where possible.
        Prediction(known: [51_000, 30_000], base: 50_000, next: 50_000, limit: 1),
        Prediction(known: [51_000, 30_000], base: 50_000, next: 50_001, limit: 24),
        // Around the end of the ports.
        Prediction(known: [65_534, 65_535], next: 1024, limit: 1),
        Prediction(known: [1025, 1024], next: 65_535, limit: 1),
    ]

    @Test(arguments: Self.predictions)
    func `a port that can be predicted is among the first guesses`(prediction: Prediction) throws {
        let guesses = Array(
            PortGuesses(
                try Self.mapped(prediction.known, base: prediction.base), count: prediction.limit,
                generator: SeededGenerator(5)))
        #expect(guesses.contains(prediction.next), "\(guesses)")
    }

    @Test func `observed ports belong together when base and outside address are the same`() throws {
        func candidate(_ address: String, _ port: Int, base: Int?) throws -> ICECandidate {
            ICECandidate(
                kind: .serverReflexive, foundation: "1", priority: 1,
                address: try SocketAddress(ipAddress: address, port: port),
                relatedAddress: try base.map { try SocketAddress(ipAddress: "10.0.0.2", port: $0) })
        }
        var host = try candidate("10.0.0.2", 5000, base: nil)
        host.kind = .host
        let observed = MappedPorts.observed(in: [
            host, try candidate("203.0.113.9", 40_000, base: 5000), try candidate("203.0.113.9", 41_000, base: 5001),
            try candidate("203.0.113.9", 40_001, base: 5000), try candidate("203.0.113.9", 40_001, base: 5000),
            try candidate("198.51.100.9", 40_002, base: 5000), try candidate("203.0.113.9", 40_003, base: nil),
        ])
        #expect(observed.map(\.ports) == [[40_000, 40_001], [41_000], [40_002], [40_003]])
        #expect(observed.map(\.basePort) == [5000, 5001, 5000, nil])
        #expect(observed[0].outside == (try SocketAddress(ipAddress: "203.0.113.9", port: 40_001)))
    }

    // MARK: Stray checks

    @Test func `only the peer's own checks are recognised as such`() throws {
        let (a, b) = (ICECredentials.random(), ICECredentials.random())
        let now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        var here = ICEAgent(role: .controlling, local: a, hmacSHA1: realHMAC)
        var there = ICEAgent(role: .controlled, local: b, hmacSHA1: realHMAC)
        let early = there.strayCheck()
        #expect(early == nil)
        here.setRemote(credentials: b, at: now)
        there.setRemote(credentials: a, at: now)
        let stray = there.strayCheck()
        let check = try #require(stray)
        #expect(here.isCheckOfPeer(check))
        #expect(!there.isCheckOfPeer(check))
        // Behind the integrity there is the fingerprint, 8 bytes, which is for everybody to make.
        for index in 0..<check.readableBytes - 8 {
            var damaged = check
            let byte = try #require(damaged.getInteger(at: index, as: UInt8.self))
            damaged.setInteger(byte ^ 0x40, at: index)
            let isTaken = here.isCheckOfPeer(damaged)
            #expect(!isTaken, "byte \(index)")
        }
        var generator = SeededGenerator(1)
        let plain = STUNMessage(.request, id: .random(using: &generator)).encoded(
            integrityKey: nil, fingerprint: true)
        #expect(!here.isCheckOfPeer(plain))
        // Somebody who knows both names and not the password.
        var stranger = ICEAgent(role: .controlled, local: b, hmacSHA1: realHMAC)
        stranger.setRemote(credentials: try ICECredentials(ufrag: a.ufrag, pwd: ICECredentials.random().pwd), at: now)
        let forged = stranger.strayCheck()
        #expect(!here.isCheckOfPeer(try #require(forged)))
    }
}
