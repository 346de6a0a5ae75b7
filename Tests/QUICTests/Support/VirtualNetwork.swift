import NIOCore
import NIOEmbedded
import TLS
import TestSupport
import Testing

@testable import QUIC

/// A client and a server on one embedded loop, with a network between them that has a clock of its own and all the
/// faults one asks for.
final class VirtualNetwork {
    struct Faults {
        /// Chances between 0 and 1, for each datagram.
        var loss = 0.0
        var duplication = 0.0
        var reordering = 0.0
        /// Drops everything while set.
        var isCut = false
        /// Drops what is larger on the way to the client, in bytes.
        var largestToClient = Int.max
        /// Drops what leaves several at once where the sender lets the kernel cut it up.
        var swallowsBatches = false
        /// Drops so many of the next on the way to the client.
        var nextToClient = 0
    }

    let loop = EmbeddedEventLoop()
    let client: QUICSession
    private(set) var server: QUICSession
    let clientEvents = SessionRecorder()
    let serverEvents = SessionRecorder()
    /// One way.
    var delay: TimeAmount
    var faults = Faults()
    /// Largest datagram seen.
    private(set) var largestDatagram = 0
    /// Packets per transmit, the most seen.
    private(set) var largestBatch = 0
    private(set) var datagramCount = 0
    private(set) var bytesToClient = 0
    /// Which path the datagrams that are sent from now on come in by.
    var arrival: UInt32?
    /// Called when an end has sent something, from inside its call.
    var onTransmit: (() -> Void)?
    private var random: SeededGenerator
    private let wires = Wires()

    /// The transmit closures exist before the network does.
    private final class Wires {
        weak var network: VirtualNetwork?
    }

    init(
        client: QUICConfiguration = .pinnedClient, server: QUICConfiguration = .pinnedServer,
        delay: TimeAmount = .milliseconds(5), seed: UInt64 = 42
    ) throws {
        self.delay = delay
        self.random = SeededGenerator(seed)
        // Like on a machine that has been up for a while.
        self.loop.advanceTime(by: .seconds(1))
        let wires = self.wires
        self.client = try QUICSession.client(configuration: client, eventLoop: self.loop) {
            wires.network?.carry($0, toServer: true)
        }
        self.server = try QUICSession.server(configuration: server, eventLoop: self.loop) {
            wires.network?.carry($0, toServer: false)
        }
        self.client.delegate = self.clientEvents
        self.server.delegate = self.serverEvents
        wires.network = self
    }

    /// A server that has lost all state, with the same keys.
    func restartServer(_ configuration: QUICConfiguration) throws {
        let wires = self.wires
        self.server = try QUICSession.server(configuration: configuration, eventLoop: self.loop) {
            wires.network?.carry($0, toServer: false)
        }
    }

    /// A network whose two ends have completed the handshake.
    static func connected(
        client: QUICConfiguration = .pinnedClient, server: QUICConfiguration = .pinnedServer, seed: UInt64 = 42
    ) throws -> VirtualNetwork {
        let network = try VirtualNetwork(client: client, server: server, seed: seed)
        try network.run { network.clientEvents.isConnected && network.serverEvents.isConnected }
        return network
    }

    /// Lets time pass until `condition` holds.
    func run(for limit: TimeAmount = .seconds(60), until condition: () -> Bool) throws {
        let end = self.loop.now + limit
        self.loop.run()
        while !condition() {
            try #require(self.loop.now < end, "the condition did not hold within \(limit)")
            self.loop.advanceTime(by: .milliseconds(1))
        }
    }

    func run(for time: TimeAmount) {
        self.loop.run()
        self.loop.advanceTime(by: time)
    }

    func resetLargestDatagram() { self.largestDatagram = 0 }

    func carry(_ transmit: QUICTransmit, toServer: Bool) {
        var arriving: [ByteBuffer] = []
        var late: [ByteBuffer] = []
        var rest = transmit.payload
        let step = transmit.segmentSize ?? rest.readableBytes
        let isSwallowed = self.faults.swallowsBatches && transmit.segmentSize != nil && transmit.mayOffload
        var count = 0
        while let datagram = rest.readSlice(length: min(step, rest.readableBytes)), datagram.readableBytes > 0 {
            count += 1
            if !toServer { self.bytesToClient += datagram.readableBytes }
            if !toServer, self.faults.nextToClient > 0 {
                self.faults.nextToClient -= 1
                continue
            }
            self.largestDatagram = max(self.largestDatagram, datagram.readableBytes)
            guard !self.faults.isCut, !isSwallowed, !self.happens(self.faults.loss),
                toServer || datagram.readableBytes <= self.faults.largestToClient
            else { continue }
            if self.happens(self.faults.reordering) {
                late.append(datagram)
            } else {
                arriving.append(datagram)
            }
            if self.happens(self.faults.duplication) { late.append(datagram) }
        }
        self.datagramCount += count
        self.largestBatch = max(self.largestBatch, count)
        self.onTransmit?()
        self.deliver(arriving, toServer: toServer, in: self.delay)
        self.deliver(late, toServer: toServer, in: self.delay + .milliseconds(7))
    }

    /// Gives one end datagrams that nobody sent.
    func inject(_ datagram: ByteBuffer, toServer: Bool) {
        self.deliver([datagram], toServer: toServer, in: .zero)
    }

    private func deliver(_ datagrams: [ByteBuffer], toServer: Bool, in delay: TimeAmount) {
        guard !datagrams.isEmpty else { return }
        let arrival = self.arrival
        self.loop.assumeIsolated().scheduleTask(in: delay) {
            let session = toServer ? self.server : self.client
            for datagram in datagrams { session.receive(datagram, segmentSize: nil, on: arrival) }
            session.receiveComplete()
        }
    }

    private func happens(_ chance: Double) -> Bool {
        chance > 0 && Double.random(in: 0..<1, using: &self.random) < chance
    }
}
