import AppProto
import NIOCore
import NIOEmbedded
import TLS
import Testing

@testable import PeerChannel
@testable import Tunnel

/// Two ends of a tunnel in memory, with a clock of their own and a path that carries what the test lets it.
@Suite struct QUICTunnelTests {
    /// One direction of a path.
    private final class Path: DatagramPath {
        var maximumDatagramSize: Int { 1452 }
        var preferredDatagramSize: Int { 1452 }
        var roundTripTime: TimeAmount? { .milliseconds(20) }
        var isBroken = false
        var deliver: (ByteBuffer, Int?) -> Void = { _, _ in }
        let eventLoop: EmbeddedEventLoop

        init(_ eventLoop: EmbeddedEventLoop) { self.eventLoop = eventLoop }

        func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool {
            guard !self.isBroken else { return true }
            self.eventLoop.scheduleTask(in: .milliseconds(10)) { self.deliver(bytes, segmentSize) }
            return true
        }
    }

    private final class End: PeerCarrierDelegate {
        var isConnected = false
        var closed: PeerChannelError?
        /// What was told, and when.
        var suspicions: [(isSuspect: Bool, at: NIODeadline)] = []

        func carrierConnected() { self.isConnected = true }
        func carrierClosed(_ reason: PeerChannelError) { self.closed = reason }
    }

    private final class Pair {
        let eventLoop = EmbeddedEventLoop()
        let toAgent: Path
        let toClient: Path
        let client: QUICTunnel
        let agent: QUICTunnel
        let clientEnd = End()
        let agentEnd = End()

        init() throws {
            let configurations = try (0..<2).map { _ in
                PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: "test"))
            }
            self.toAgent = Path(self.eventLoop)
            self.toClient = Path(self.eventLoop)
            self.agent = try QUICTunnel(
                PeerCarrierContext(
                    side: .agent, peerFingerprint: configurations[0].identity.leafFingerprint,
                    configuration: configurations[1], eventLoop: self.eventLoop, path: self.toClient))
            self.client = try QUICTunnel(
                PeerCarrierContext(
                    side: .client, peerFingerprint: configurations[1].identity.leafFingerprint,
                    configuration: configurations[0], eventLoop: self.eventLoop, path: self.toAgent))
            let (client, agent, eventLoop) = (self.client, self.agent, self.eventLoop)
            self.toAgent.deliver = { [unowned agent] in Self.deliver($0, $1, to: agent) }
            self.toClient.deliver = { [unowned client] in Self.deliver($0, $1, to: client) }
            for (tunnel, end) in [(client, self.clientEnd), (agent, self.agentEnd)] {
                tunnel.carrierDelegate = end
                tunnel.suspicionChanged = { [unowned end, unowned eventLoop] in
                    end.suspicions.append(($0, eventLoop.now))
                }
            }
            self.eventLoop.advanceTime(by: .milliseconds(500))
            try #require(self.clientEnd.isConnected && self.agentEnd.isConnected)
        }

        private static func deliver(_ bytes: ByteBuffer, _ segmentSize: Int?, to tunnel: QUICTunnel) {
            tunnel.receive(bytes, segmentSize: segmentSize, arrival: 0)
            tunnel.receiveComplete()
        }

        func ask() {
            self.client.open(OpenTcp(host: "example.org", port: 80), timeout: .seconds(60)) { _ in }
            self.eventLoop.run()
        }
    }

    @Test func `silence of two seconds with packets outstanding is told once, and its end`() throws {
        let pair = try Pair()
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
        let pair = try Pair()
        for _ in 0..<60 {
            pair.eventLoop.advanceTime(by: .milliseconds(1700))
            pair.ask()
        }
        pair.eventLoop.advanceTime(by: .seconds(100))
        #expect(pair.clientEnd.suspicions.isEmpty && pair.agentEnd.suspicions.isEmpty)
        #expect(pair.clientEnd.closed == nil && pair.agentEnd.closed == nil)
    }

    @Test func `a tunnel that is over tells nothing more`() throws {
        let pair = try Pair()
        pair.toAgent.isBroken = true
        pair.ask()
        pair.client.close(saying: "enough")
        pair.eventLoop.advanceTime(by: .seconds(10))
        #expect(pair.clientEnd.suspicions.isEmpty)
        #expect(pair.clientEnd.closed != nil)
    }
}
