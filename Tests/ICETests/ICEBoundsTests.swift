import NIOCore
import STUN
import TestSupport
import Testing

@testable import ICE

@Suite(.timeLimit(.minutes(1))) struct `An ICE agent under attack` {
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    let base = LocalBaseID(0)
    var agent: ICEAgent
    var peer: RawPeer

    init() throws {
        var generator = SeededGenerator(4)
        let credentials = ICECredentials.random(using: &generator)
        self.agent = ICEAgent(role: .controlled, local: credentials, hmacSHA1: realHMAC, random: generator)
        self.peer = RawPeer(of: credentials)
        self.agent.addLocalCandidate(
            .host(address: try address("192.0.2.1", 5000), base: self.base, interfaceIndex: 0), at: self.start)
    }

    @Test mutating func `survives random datagrams unchanged`() throws {
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        let source = try address("192.0.2.2", 6000)
        var generator = SeededGenerator(5)
        let valid = Array(self.peer.check().readableBytesView)
        let before = self.agent.report
        for round in 0..<10_000 {
            var bytes = valid
            if round % 2 == 0 {
                bytes = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                    .random(in: 0...255, using: &generator)
                }
            } else {
                bytes[Int.random(in: 0..<bytes.count - 8, using: &generator)] ^= .random(in: 1...255, using: &generator)
            }
            self.agent.receive(ByteBuffer(bytes: bytes), on: self.base, from: source, at: self.start)
        }
        let after = self.agent.report
        #expect(after.remoteCandidates == before.remoteCandidates && after.pairs == before.pairs)
        #expect(after.counters.malformed + after.counters.unauthenticated == 10_000)
        let waiting = self.agent.drainTransmits().count
        #expect(waiting <= 64)
        let events = self.agent.drainEvents()
        #expect(events.isEmpty)
    }

    @Test mutating func `bounds what an authentic peer can make it remember`() throws {
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        var now = self.start
        var sent = 0
        for round in 0..<2_000 {
            now = now + .milliseconds(1)
            self.agent.receive(
                self.peer.check(), on: self.base, from: try address("198.51.100.\(round % 200)", 1000 + round), at: now)
            sent += self.agent.drainTransmits().count
        }
        let report = self.agent.report
        #expect(report.remoteCandidates.count == 16)
        #expect(report.pairs.count == 16)
        #expect(self.agent.earlyChecks.count <= 32)
        #expect(self.agent.transactions.count <= 32)
        #expect(report.counters.overLimit > 0)
        #expect(sent <= 2_000 + 100, "an answer each, and paced checks")
    }

    @Test mutating func `bounds the checks that a peer can trigger`() throws {
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        let source = try address("192.0.2.2", 6000)
        var now = self.start
        var requests = 0
        for _ in 0..<500 {
            now = now + .milliseconds(15)
            self.agent.receive(self.peer.check(), on: self.base, from: source, at: now)
            for transmit in self.agent.drainTransmits() {
                let message = try ReceivedSTUNMessage(decoding: transmit.payload).message
                requests += message.messageClass == .request ? 1 : 0
            }
        }
        #expect(requests == 40)
        #expect(self.agent.transactions.count <= 41)
    }

    @Test mutating func `bounds checks that arrive before the credentials`() throws {
        for port in 1...1_000 {
            self.agent.receive(self.peer.check(), on: self.base, from: try address("192.0.2.2", port), at: self.start)
            _ = self.agent.drainTransmits()
        }
        #expect(self.agent.earlyChecks.count == 32)
        #expect(self.agent.report.remoteCandidates.isEmpty)
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        #expect(self.agent.report.remoteCandidates.count == 16)
    }

    @Test mutating func `bounds candidates and pairs, and keeps the best`() throws {
        for base in 1..<3 {
            self.agent.addLocalCandidate(
                .host(address: try address("192.0.2.1", 5000 + base), base: LocalBaseID(base), interfaceIndex: base),
                at: self.start)
        }
        for index in 0..<200 {
            let candidate = ICECandidate(
                kind: .host, foundation: "f\(index)", priority: UInt32(1000 + index),
                address: try address("198.51.100.\(index)", 7))
            let isTaken = self.agent.addRemoteCandidate(candidate, at: self.start)
            #expect(isTaken == (index < 64))
        }
        let report = self.agent.report
        #expect(report.remoteCandidates.count == 64)
        #expect(report.pairs.count == 100)
        #expect(report.pairs.contains { $0.remote.priority == 1063 })
        for index in 0..<100 {
            self.agent.addLocalCandidate(
                .host(address: try address("10.0.0.1", 1 + index), base: self.base, interfaceIndex: 0), at: self.start)
        }
        #expect(self.agent.report.localCandidates.count == 64)
    }

    @Test mutating func `bounds what waits to be sent`() throws {
        self.agent.setRemote(credentials: self.peer.local, at: self.start)
        for _ in 0..<1_000 {
            self.agent.receive(
                self.peer.check(), on: self.base, from: try address("192.0.2.2", 6000), at: self.start)
        }
        let waiting = self.agent.drainTransmits().count
        #expect(waiting == 64)
        #expect(self.agent.counters.transmitsDropped > 900)
    }

    @Test mutating func `survives the most extreme priorities`() throws {
        for (index, priority) in [UInt32.max, 0, 1 << 31].enumerated() {
            let candidate = ICECandidate(
                kind: .host, foundation: "\(index)", priority: priority, address: try address("198.51.100.\(index)", 7))
            self.agent.addRemoteCandidate(candidate, at: self.start)
        }
        #expect(self.agent.report.pairs.count == 3)
    }
}
