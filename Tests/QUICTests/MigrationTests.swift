import Foundation
import NIOCore
import TLS
import TestSupport
import Testing

@testable import QUIC

/// Moving a living connection to another path, and packets no larger than the owner of the path says.
@Suite struct MigrationTests {
    private static func configured(_ configuration: QUICConfiguration) -> QUICConfiguration {
        var configuration = configuration
        configuration.allowsMigration = true
        configuration.discoversPathMTU = false
        return configuration
    }

    private func connected(_ congestionControl: CongestionControl = .bbr) throws -> VirtualNetwork {
        var client = Self.configured(.pinnedClient)
        client.congestionControl = congestionControl
        let network = try VirtualNetwork(client: client, server: Self.configured(.pinnedServer))
        network.arrival = 1
        try network.run { network.clientEvents.isConnected && network.serverEvents.isConnected }
        network.run(for: .milliseconds(100))
        return network
    }

    private func window(_ session: QUICSession) -> UInt64 { session.connection?.statistics.cwnd ?? 0 }

    @Test func `congestion control starts anew on both sides`() throws {
        let network = try self.connected(.cubic)
        let stream = try network.client.openStream()
        let pump = Pump(total: 1 << 30)
        stream.delegate = pump
        pump.start(stream)
        // A path that loses so much that little of the window is left.
        network.faults.loss = 0.2
        network.run(for: .seconds(5))
        #expect(self.window(network.client) < 20_000)
        #expect(network.client.connection?.statistics.ssthresh != .max)
        network.faults.loss = 0
        network.client.pathChanged()
        network.arrival = 2
        network.run(for: .milliseconds(20))
        #expect(network.client.connection?.statistics.ssthresh == .max)
        #expect(network.server.connection?.moves.count == 1)
        #expect(network.client.connection?.moves.count == 1)
        network.run(for: .milliseconds(200))
        #expect(self.window(network.client) > 25_000, "slow start has brought \(self.window(network.client)) bytes")
        #expect(network.clientEvents.closeReason == nil)
        #expect(network.serverEvents.closeReason == nil)
    }

    @Test func `a transfer survives many moves, cuts in between included`() throws {
        let network = try self.connected()
        let stream = try network.client.openStream()
        let total = 3_000_000
        let pump = Pump(total: total)
        stream.delegate = pump
        pump.start(stream)
        for move in 0..<12 {
            network.run(for: .milliseconds(30))
            if move.isMultiple(of: 3) {
                network.faults.isCut = true
                network.run(for: .seconds(3))
                network.faults.isCut = false
            }
            network.client.pathChanged()
            network.arrival = UInt32(2 + move % 3)
        }
        try network.run { network.serverEvents.recorders.first?.isFinished == true }
        #expect(network.serverEvents.recorders[0].received.count == total)
        #expect(network.client.connection?.moves.count ?? 0 > 3)
    }

    @Test func `a server learns the new path of its client from the packets alone`() throws {
        let network = try self.connected()
        network.serverEvents.onStream = { _ in Echo() }
        network.arrival = 7
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        stream.write(ByteBuffer(string: "still here"))
        stream.finish()
        try network.run { recorder.isClosed }
        #expect(recorder.received == Array("still here".utf8))
        #expect(network.server.connection?.moves.count == 1)
    }

    /// A server in the middle of a long answer, to a client that only acknowledges.
    private func downloading(bytes total: Int, delay: TimeAmount = .milliseconds(5), seed: UInt64 = 42) throws -> (
        VirtualNetwork, StreamRecorder
    ) {
        var client = Self.configured(.pinnedClient)
        client.keepAliveInterval = .seconds(10)
        let network = try VirtualNetwork(
            client: client, server: Self.configured(.pinnedServer), delay: delay, seed: seed)
        network.arrival = 1
        try network.run { network.clientEvents.isConnected && network.serverEvents.isConnected }
        let pump = Pump(total: total)
        network.serverEvents.onStream = { stream in
            pump.start(stream)
            return pump
        }
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        stream.write(ByteBuffer(string: "go"))
        try network.run { recorder.receivedBytes > total / 10 }
        return (network, recorder)
    }

    @Test(arguments: [200, 1500, 5000])
    func `a server whose large packets are lost after a move goes on once they arrive`(milliseconds: Int64)
        throws
    {
        let total = 3_000_000
        let (network, recorder) = try self.downloading(bytes: total)
        let path = try #require(network.server.connection?.moves.count)
        network.server.pathChanged()
        network.faults.largestToClient = 1000
        network.run(for: .milliseconds(milliseconds))
        #expect(network.server.connection?.moves.count ?? 0 > path)
        #expect(!recorder.isFinished)
        network.faults.largestToClient = .max
        try network.run(for: .seconds(max(milliseconds / 1000, 1) * 3)) { recorder.isFinished }
        #expect(recorder.receivedBytes == total)
        #expect(network.clientEvents.closeReason == nil && network.serverEvents.closeReason == nil)
    }

    /// How many courses of events are tried: `RTUN_SEEDS=2000` for more than in CI.
    private static let seeds = ProcessInfo.processInfo.environment["RTUN_SEEDS"].flatMap(UInt64.init) ?? 100

    /// Moves of either side or of both, to faster and slower paths, with loss and reordering at the same time.
    @Test(arguments: 0..<Self.seeds)
    func `neither moves nor losses end a connection or keep it busy`(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let total = 5_000_000
        let (network, download) = try self.downloading(bytes: total, seed: seed)
        network.serverEvents.onStream = nil
        let upload = Pump(total: total)
        let stream = try network.client.openStream()
        stream.delegate = upload
        upload.start(stream)
        for _ in 0..<20 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: network.server.pathChanged()
            case 1:
                // The server's owner hears of it after the datagram.
                network.arrival = UInt32.random(in: 1...4, using: &random)
                network.client.pathChanged()
                network.run(for: network.delay + .milliseconds(2))
                network.server.pathChanged()
            case 2: network.arrival = UInt32.random(in: 1...4, using: &random)
            default:
                network.arrival = UInt32.random(in: 1...4, using: &random)
                network.client.pathChanged()
                network.server.pathChanged()
            }
            network.delay = .milliseconds(Int64.random(in: 1...100, using: &random))
            network.faults.loss = [0, 0.1, 0.5, 0.9].randomElement(using: &random) ?? 0
            network.faults.reordering = [0, 0.1].randomElement(using: &random) ?? 0
            network.run(for: .milliseconds(Int64.random(in: 1...1500, using: &random)))
        }
        network.faults = .init()
        try network.run { download.isFinished && network.serverEvents.recorders.last?.receivedBytes == total }
        #expect(download.receivedBytes == total)
        #expect(network.client.connection?.moves.count ?? 0 >= 2)
        #expect(network.server.connection?.moves.count ?? 0 >= 2)
        network.run(for: .seconds(20))
        let before = network.datagramCount
        network.run(for: .seconds(60))
        #expect(network.datagramCount - before <= 40, "more than keep-alives on an idle connection")
        #expect(network.clientEvents.closeReason == nil && network.serverEvents.closeReason == nil)
    }

    @Test func `late datagrams of a slower path are not taken for a move back to it`() throws {
        let network = try self.connected()
        network.delay = .milliseconds(80)
        let stream = try network.client.openStream()
        let pump = Pump(total: 1 << 30)
        stream.delegate = pump
        pump.start(stream)
        network.run(for: .seconds(1))
        // Twice in a row, so that there are datagrams of two paths to be overtaken; the owner tells of it afterwards.
        network.client.pathChanged()
        (network.arrival, network.delay) = (2, .milliseconds(60))
        network.run(for: .milliseconds(100))
        network.client.pathChanged()
        (network.arrival, network.delay) = (3, .milliseconds(5))
        network.run(for: .milliseconds(6))
        network.server.pathChanged()
        network.run(for: .milliseconds(994))
        #expect(network.server.connection?.moves.count == 2)
        #expect(network.server.connection?.moves.arrival == 3)
        // Back for good: after a while it counts.
        network.arrival = 2
        network.run(for: .seconds(3))
        #expect(network.server.connection?.moves.count == 3)
    }

    /// Nothing new to send, and nothing that the client would say, when the questions and the last data are lost.
    @Test func `a server resends by itself what was lost while its path was dead`() throws {
        let (network, recorder) = try self.downloading(bytes: 300_000)
        try network.run { recorder.isFinished }
        network.run(for: .seconds(1))
        let stream = try network.client.openStream()
        let echo = StreamRecorder()
        stream.delegate = echo
        network.serverEvents.onStream = { _ in Echo() }
        network.server.pathChanged()
        stream.write(ByteBuffer(string: "question"))
        network.run(for: .milliseconds(5))
        network.faults.isCut = true
        network.run(for: .seconds(3))
        network.faults.isCut = false
        try network.run(for: .seconds(4)) { echo.receivedBytes == 8 }
    }

    /// ngtcp2 has room for 16 connection ids that were given back and not acknowledged.
    @Test func `a server follows any number of moves, as long as there are pauses`() throws {
        let network = try self.connected()
        let stream = try network.client.openStream()
        let line = StreamRecorder()
        stream.delegate = line
        network.serverEvents.onStream = { _ in Echo() }
        for move in 1...40 {
            network.client.pathChanged()
            network.arrival = UInt32(2 + move % 3)
            stream.write(ByteBuffer(string: "here"))
            try network.run(for: .seconds(5)) { line.receivedBytes == 4 * move }
            network.run(for: .seconds(2))
            #expect(network.server.connection?.moves.count == UInt32(move))
        }
        #expect(network.client.connection?.moves.count == 40)
    }

    @Test func `a server fills its first window after a move, however little the client says`() throws {
        let (network, _) = try self.downloading(bytes: 20_000_000, delay: .milliseconds(50))
        let path = try #require(network.server.connection?.moves.count)
        network.server.pathChanged()
        #expect(network.server.connection?.moves.count == path + 1)
        network.run(for: .milliseconds(1))
        // RFC 9002 §7.2: ten packets. What was under way before does not count any more.
        #expect(network.server.connection?.statistics.bytes_in_flight ?? 0 >= 10 * 1200)
    }

    /// The answer to the client's question about the new path stops its timer (ngtcp2), and the acknowledgement that would show
    /// what got lost on the old one is lost as well.
    @Test func `what a client has just lost to a move is sent again at once`() throws {
        let network = try self.connected()
        let stream = try network.client.openStream()
        network.faults.isCut = true
        stream.write(ByteBuffer(string: "request"))
        network.run(for: .milliseconds(1))
        network.faults.isCut = false
        network.faults.nextToClient = 1
        // To the server the path is not new: packets have come by it before the handshake was over.
        network.client.pathChanged()
        try network.run(for: .milliseconds(200)) { network.serverEvents.recorders.first?.receivedBytes == 7 }
        // And the keep-alive, of which there is none here, is as it was.
        network.run(for: .seconds(3))
        let before = network.datagramCount
        network.run(for: .seconds(20))
        #expect(network.datagramCount == before)
    }

    @Test func `packets grow and shrink to the size that the owner sets`() throws {
        let network = try self.connected()
        #expect(network.largestDatagram == 1200)
        let stream = try network.client.openStream()
        let pump = Pump(total: 1 << 30)
        stream.delegate = pump
        pump.start(stream)
        network.run(for: .milliseconds(200))
        #expect(network.largestDatagram == 1200)
        network.client.maximumDatagramSize = 1400
        network.run(for: .milliseconds(200))
        #expect(network.largestDatagram == 1400)
        network.client.maximumDatagramSize = 9000
        #expect(network.client.maximumDatagramSize == 1452)
        network.client.maximumDatagramSize = 1200
        network.run(for: .milliseconds(200))
        network.resetLargestDatagram()
        network.run(for: .milliseconds(200))
        #expect(network.largestDatagram == 1200)
    }
}
