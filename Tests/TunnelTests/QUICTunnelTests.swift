import NIOCore
import Testing

@testable import Tunnel

/// What a tunnel tells of silence.
@Suite struct QUICTunnelTests {
    @Test func `silence of two seconds with packets outstanding is told once, and its end`() throws {
        let pair = try TunnelPair()
        pair.eventLoop.advanceTime(by: .seconds(1))
        pair.toAgent.isBroken = true
        pair.ask()
        let asked = pair.eventLoop.now
        pair.eventLoop.advanceTime(by: .milliseconds(1999))
        #expect(pair.clientEnd.suspicions.isEmpty && !pair.client.isSuspect)
        pair.eventLoop.advanceTime(by: .seconds(5))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true])
        #expect(pair.clientEnd.suspicions.map(\.at) == [asked + .seconds(2)])
        #expect(pair.client.isSuspect)
        pair.toAgent.isBroken = false
        pair.eventLoop.advanceTime(by: .seconds(10))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true, false])
        #expect(!pair.client.isSuspect)
        // And again, when it happens again. The agent may have something to repeat.
        pair.toAgent.isBroken = true
        pair.toClient.isBroken = true
        pair.ask()
        pair.eventLoop.advanceTime(by: .seconds(3))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true, false, true])
        #expect(pair.agentEnd.suspicions.isEmpty)
    }

    @Test func `a tunnel at rest, and one that is answered, is never suspect`() throws {
        let pair = try TunnelPair()
        for _ in 0..<60 {
            pair.eventLoop.advanceTime(by: .milliseconds(1700))
            pair.ask()
        }
        pair.eventLoop.advanceTime(by: .seconds(100))
        #expect(pair.clientEnd.suspicions.isEmpty && pair.agentEnd.suspicions.isEmpty)
        #expect(pair.clientEnd.closed == nil && pair.agentEnd.closed == nil)
    }

    @Test func `a tunnel that is over tells nothing more`() throws {
        let pair = try TunnelPair()
        pair.toAgent.isBroken = true
        pair.ask()
        pair.client.close(saying: "enough")
        pair.eventLoop.advanceTime(by: .seconds(10))
        #expect(pair.clientEnd.suspicions.isEmpty)
        #expect(pair.clientEnd.closed != nil)
    }
}
