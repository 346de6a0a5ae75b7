import NIOCore
import TLS
import Testing

@testable import QUIC

/// Moving a living connection to another path, and packets no larger than the owner of the path says.
@Suite struct MigrationTests {
    private static func configured(_ configuration: QUICConfiguration) -> QUICConfiguration {
        var configuration = configuration
        configuration.migrates = true
        configuration.discoversPathMTU = false
        return configuration
    }

    private func connected() throws -> VirtualNetwork {
        let network = try VirtualNetwork(
            client: Self.configured(.pinnedClient), server: Self.configured(.pinnedServer))
        network.arrival = 1
        try network.run { network.clientEvents.isConnected && network.serverEvents.isConnected }
        network.run(for: .milliseconds(100))
        return network
    }

    private func window(_ session: QUICSession) -> UInt64 { session.connection?.statistics.cwnd ?? 0 }

    @Test func `congestion control starts anew on both sides`() throws {
        let network = try self.connected()
        let stream = try network.client.openStream()
        let pump = Pump(total: 1 << 30)
        stream.delegate = pump
        pump.start(stream)
        // A path that loses so much that little of the window is left.
        network.faults.loss = 0.2
        network.run(for: .seconds(5))
        #expect(self.window(network.client) < 10_000)
        #expect(network.client.connection?.statistics.ssthresh != .max)
        network.faults.loss = 0
        network.client.migrate()
        network.arrival = 2
        network.run(for: .milliseconds(20))
        #expect(network.client.connection?.statistics.ssthresh == .max)
        #expect(network.server.connection?.pathNumber == 1)
        #expect(network.client.connection?.pathNumber == 1)
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
            network.client.migrate()
            network.arrival = UInt32(2 + move % 3)
        }
        try network.run { network.serverEvents.recorders.first?.isFinished == true }
        #expect(network.serverEvents.recorders[0].received.count == total)
        #expect(network.client.connection?.pathNumber ?? 0 > 3)
    }

    @Test func `a server whose client comes from elsewhere learns the new path without being told`() throws {
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
        #expect(network.server.connection?.pathNumber == 1)
    }

    /// Small path challenges of the server get through and are answered, then the large ones are lost.
    @Test(arguments: [200, 1500, 5000])
    func `a server that loses its large path challenges goes on with the next packet of the client`(milliseconds: Int64)
        throws
    {
        let network = try VirtualNetwork(
            client: {
                var client = Self.configured(.pinnedClient)
                client.keepAliveInterval = .seconds(10)
                return client
            }(), server: Self.configured(.pinnedServer))
        network.arrival = 1
        try network.run { network.clientEvents.isConnected && network.serverEvents.isConnected }
        let total = 3_000_000
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
        network.server.migrate()
        network.faults.largestToClient = 1000
        network.run(for: .milliseconds(milliseconds))
        network.faults.largestToClient = .max
        try network.run(for: .seconds(30)) { recorder.isFinished }
        #expect(recorder.receivedBytes == total)
        #expect(network.server.connection?.pathNumber ?? 0 >= (milliseconds > 1000 ? 2 : 1))
        #expect(network.clientEvents.closeReason == nil && network.serverEvents.closeReason == nil)
    }

    @Test func `packets grow and shrink as the owner says`() throws {
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
