import AppProto
import NIOCore
import PeerTestSupport
import Testing
import Tunnel

@testable import PeerChannel

/// Two ends of a tunnel in memory, 10 ms apart.
@Suite struct QUICTunnelTests {
    private func connected(
        _ change: (inout PeerChannelConfiguration) -> Void = { _ in }
    ) throws -> CarrierPair<QUICTunnel> {
        let pair = try CarrierPair(delay: .milliseconds(10), change: change) {
            try QUICTunnel(
                PeerCarrierContext(side: $0, peerFingerprint: $1, configuration: $2, eventLoop: $3, path: $4))
        }
        try #require(pair.connect())
        return pair
    }

    private func ask(_ pair: CarrierPair<QUICTunnel>) {
        pair.client.open(OpenTcp(host: "example.org", port: 80), timeout: .seconds(60)) { _ in }
        pair.eventLoop.run()
    }

    @Test func `silence of two seconds with packets outstanding is told once, and its end`() throws {
        let pair = try self.connected()
        pair.eventLoop.advanceTime(by: .seconds(1))
        pair.toAgent.isBroken = true
        self.ask(pair)
        let asked = pair.eventLoop.now
        pair.eventLoop.advanceTime(by: .milliseconds(1999))
        #expect(pair.clientEnd.suspicions.isEmpty)
        pair.eventLoop.advanceTime(by: .seconds(5))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true])
        #expect(pair.clientEnd.suspicions.map(\.at) == [asked + .seconds(2)])
        pair.toAgent.isBroken = false
        pair.eventLoop.advanceTime(by: .seconds(10))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true, false])
        // And again, when it happens again. The agent may have something to repeat.
        pair.toAgent.isBroken = true
        pair.toClient.isBroken = true
        self.ask(pair)
        pair.eventLoop.advanceTime(by: .seconds(3))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true, false, true])
        #expect(pair.agentEnd.suspicions.isEmpty)
    }

    @Test func `a tunnel at rest, and one that is answered, is never suspect`() throws {
        let pair = try self.connected()
        for _ in 0..<60 {
            pair.eventLoop.advanceTime(by: .milliseconds(1700))
            self.ask(pair)
        }
        pair.eventLoop.advanceTime(by: .seconds(100))
        #expect(pair.clientEnd.suspicions.isEmpty && pair.agentEnd.suspicions.isEmpty)
        #expect(pair.clientEnd.closed == nil && pair.agentEnd.closed == nil)
    }

    @Test func `a peer that speaks without answering is there`() throws {
        let pair = try self.connected { $0.keepAliveInterval = .seconds(1) }
        pair.toAgent.isBroken = true
        pair.toClient.isBroken = true
        self.ask(pair)
        pair.eventLoop.advanceTime(by: .seconds(3))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true])
        pair.toClient.isBroken = false
        for _ in 0..<100 where pair.clientEnd.suspicions.count == 1 {
            pair.eventLoop.advanceTime(by: .milliseconds(100))
        }
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true, false])
        // What the client sends again by itself is awaited, too.
        pair.toClient.isBroken = true
        pair.eventLoop.advanceTime(by: .seconds(5))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true, false, true])
    }

    @Test func `a tunnel that is over tells nothing more`() throws {
        let pair = try self.connected()
        pair.toAgent.isBroken = true
        self.ask(pair)
        pair.client.close(saying: "enough")
        pair.eventLoop.advanceTime(by: .seconds(10))
        #expect(pair.clientEnd.suspicions.isEmpty)
        #expect(pair.clientEnd.closed != nil)
    }
}
