import AppProto
import NIOCore
import NIOEmbedded
import TLS
import TestSupport
import Testing

@testable import PeerChannel
@testable import Tunnel

/// One direction of a path.
final class TunnelPath: DatagramPath {
    var maximumDatagramSize: Int { 1452 }
    var preferredDatagramSize = 1452
    /// Of each datagram, the chance that it is lost.
    var loss = 0.0
    private var random = SeededGenerator(11)
    var roundTripTime: TimeAmount? { .milliseconds(20) }
    var isBroken = false
    var deliver: (ByteBuffer, Int?) -> Void = { _, _ in }
    let eventLoop: EmbeddedEventLoop

    init(_ eventLoop: EmbeddedEventLoop) { self.eventLoop = eventLoop }

    func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool {
        guard !self.isBroken else { return true }
        if self.loss > 0 { return self.sendSingly(bytes, segmentSize ?? bytes.readableBytes) }
        self.eventLoop.scheduleTask(in: .milliseconds(10)) { self.deliver(bytes, segmentSize) }
        return true
    }

    private func sendSingly(_ bytes: ByteBuffer, _ segmentSize: Int) -> Bool {
        var rest = bytes
        while let datagram = rest.readSlice(length: min(segmentSize, rest.readableBytes)), datagram.readableBytes > 0 {
            guard Double.random(in: 0..<1, using: &self.random) >= self.loss else { continue }
            self.eventLoop.scheduleTask(in: .milliseconds(10)) { self.deliver(datagram, nil) }
        }
        return true
    }
}

final class TunnelEnd: PeerCarrierDelegate {
    var isConnected = false
    var closed: PeerChannelError?
    /// What was told, and when.
    var suspicions: [(isSuspect: Bool, at: NIODeadline)] = []

    func carrierConnected() { self.isConnected = true }
    func carrierClosed(_ reason: PeerChannelError) { self.closed = reason }
}

/// Two ends of a tunnel in memory, with a clock of their own and a path that carries what the test lets it.
final class TunnelPair {
    let eventLoop = EmbeddedEventLoop()
    let toAgent: TunnelPath
    let toClient: TunnelPath
    let client: QUICTunnel
    let agent: QUICTunnel
    let clientEnd = TunnelEnd()
    let agentEnd = TunnelEnd()

    /// - Parameter agentIsOld: it takes no datagrams.
    init(agentIsOld: Bool = false) throws {
        let configurations = try (0..<2).map { _ in
            PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: "test"))
        }
        self.toAgent = TunnelPath(self.eventLoop)
        self.toClient = TunnelPath(self.eventLoop)
        self.agent = try QUICTunnel(
            PeerCarrierContext(
                side: .agent, peerFingerprint: configurations[0].identity.leafFingerprint,
                configuration: configurations[1], eventLoop: self.eventLoop, path: self.toClient),
            takesDatagrams: !agentIsOld)
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
