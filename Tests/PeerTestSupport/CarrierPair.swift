package import Basics
package import NIOCore
package import NIOEmbedded
package import PeerChannel
package import PeerPath
import TLS

/// Two ends of a carrier in memory, with a clock of their own and a path that carries what the test lets it.
package final class CarrierPair<Carrier: PeerCarrier> {
    package let eventLoop = EmbeddedEventLoop()
    package let toAgent: MemoryPath
    package let toClient: MemoryPath
    package let client: Carrier
    package let agent: Carrier
    package let clientEnd: CarrierEnd
    package let agentEnd: CarrierEnd

    /// - Parameters:
    ///   - delay: how long a datagram is under way.
    ///   - change: what the configurations of both ends are to have besides their identities.
    ///   - make: makes an end of what a ``PeerCarrierContext`` consists of.
    package init(
        delay: TimeAmount, change: (inout PeerChannelConfiguration) -> Void = { _ in },
        make: (
            PeerSide, _ peer: CertificateFingerprint, PeerChannelConfiguration, any EventLoop, any DatagramPath
        ) throws -> Carrier
    ) throws {
        let configurations = try (0..<2).map { _ in
            var configuration = PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: "test"))
            change(&configuration)
            return configuration
        }
        self.toAgent = MemoryPath(self.eventLoop, delay: delay)
        self.toClient = MemoryPath(self.eventLoop, delay: delay)
        self.agent = try make(
            .agent, configurations[0].identity.leafFingerprint, configurations[1], self.eventLoop, self.toClient)
        self.client = try make(
            .client, configurations[1].identity.leafFingerprint, configurations[0], self.eventLoop, self.toAgent)
        self.clientEnd = CarrierEnd(self.eventLoop)
        self.agentEnd = CarrierEnd(self.eventLoop)
        self.toAgent.deliver = { [unowned agent = self.agent] in Self.deliver($0, $1, to: agent) }
        self.toClient.deliver = { [unowned client = self.client] in Self.deliver($0, $1, to: client) }
        self.client.carrierDelegate = self.clientEnd
        self.agent.carrierDelegate = self.agentEnd
    }

    /// Lets both ends authenticate each other. Returns whether they have.
    package func connect() -> Bool {
        self.eventLoop.advanceTime(by: .milliseconds(500))
        return self.clientEnd.isConnected && self.agentEnd.isConnected
    }

    private static func deliver(_ bytes: ByteBuffer, _ segmentSize: Int?, to carrier: Carrier) {
        carrier.receive(bytes, segmentSize: segmentSize, arrival: 0)
        carrier.receiveComplete()
    }
}

/// One direction of the path.
package final class MemoryPath: DatagramPath {
    package var maximumDatagramSize = 1452
    package var preferredDatagramSize: Int { self.maximumDatagramSize }
    package var roundTripTime: TimeAmount? { .milliseconds(20) }
    /// Nothing arrives any more.
    package var isBroken = false
    /// Says of each datagram whether it is lost; nil: none is.
    package var loses: (() -> Bool)?
    package var sent: [ByteBuffer] = []
    package var deliver: (ByteBuffer, Int?) -> Void = { _, _ in }
    private let eventLoop: EmbeddedEventLoop
    private let delay: TimeAmount

    init(_ eventLoop: EmbeddedEventLoop, delay: TimeAmount) {
        self.eventLoop = eventLoop
        self.delay = delay
    }

    package func send(_ bytes: ByteBuffer, segmentSize: Int?) -> Bool {
        self.sent.append(bytes)
        if let loses = self.loses, !self.isBroken {
            var rest = bytes
            while let datagram = rest.readSlice(length: min(segmentSize ?? .max, rest.readableBytes)),
                datagram.readableBytes > 0
            {
                if !loses() { self.eventLoop.scheduleTask(in: self.delay) { self.deliver(datagram, nil) } }
            }
            return true
        }
        if !self.isBroken { self.eventLoop.scheduleTask(in: self.delay) { self.deliver(bytes, segmentSize) } }
        return true
    }
}

/// What one end has told.
package final class CarrierEnd: PeerCarrierDelegate {
    package private(set) var isConnected = false
    package private(set) var closed: PeerChannelError?
    package private(set) var suspicions: [(isSuspect: Bool, at: NIODeadline)] = []
    private let eventLoop: EmbeddedEventLoop

    init(_ eventLoop: EmbeddedEventLoop) { self.eventLoop = eventLoop }

    package func carrierConnected() { self.isConnected = true }
    package func carrierSuspicionChanged(_ isSuspect: Bool) { self.suspicions.append((isSuspect, self.eventLoop.now)) }
    package func carrierClosed(_ reason: PeerChannelError) { self.closed = reason }
}
