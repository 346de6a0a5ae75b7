import NIOCore
import TestSupport
import Testing

@testable import QUIC

@Suite struct CloseTests {
    @Test func `the peer sees code and reason`() throws {
        let network = try VirtualNetwork.connected()
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        stream.write(ByteBuffer(string: "x"))
        try network.run { !network.serverEvents.streams.isEmpty }
        network.server.close(code: 1234, reason: "maintenance")
        #expect(network.server.isClosed)
        #expect(network.serverEvents.closeReason == nil, "the delegate is told later")
        try network.run { network.clientEvents.closeReason != nil }
        #expect(network.clientEvents.closeReason == .peer(code: 1234, reason: "maintenance"))
        #expect(network.serverEvents.closeReason == .local(code: 1234, reason: "maintenance"))
        #expect(recorder.closeReason == .peer(code: 1234, reason: "maintenance"))
        #expect(network.serverEvents.recorders[0].isClosed)
    }

    @Test func `a very long reason is cut`() throws {
        let network = try VirtualNetwork.connected()
        network.client.close(code: 1, reason: String(repeating: "long ", count: 1000))
        try network.run { network.serverEvents.closeReason != nil }
        guard case .peer(1, let reason) = network.serverEvents.closeReason else {
            Issue.record("closed with \(String(describing: network.serverEvents.closeReason))")
            return
        }
        #expect(reason.utf8.count == 512)
    }

    @Test func `a lost close is repeated when the peer goes on sending`() throws {
        let network = try VirtualNetwork.connected()
        network.run(for: .seconds(1))
        let stream = try network.client.openStream()
        stream.write(ByteBuffer(string: "x"))
        network.faults.isCut = true
        network.server.close(code: 5, reason: "")
        network.faults.isCut = false
        try network.run { network.clientEvents.closeReason != nil }
        #expect(network.clientEvents.closeReason == .peer(code: 5, reason: ""))
    }

    @Test func `closing before the first packet tells the delegate`() throws {
        let network = try VirtualNetwork()
        network.server.close(code: 3, reason: "never mind")
        try network.run { network.serverEvents.closeReason != nil }
        #expect(network.serverEvents.closeReason == .local(code: 3, reason: "never mind"))
        network.client.close(code: 0, reason: "")
        try network.run { network.clientEvents.closeReason != nil }
    }

    @Test func `silence ends in the idle timeout`() throws {
        var client = QUICConfiguration.pinnedClient
        client.maxIdleTimeout = .seconds(5)
        let network = try VirtualNetwork.connected(client: client)
        network.run(for: .seconds(4))
        #expect(!network.client.isClosed)
        network.run(for: .seconds(2))
        #expect(network.clientEvents.closeReason == .idleTimedOut)
        #expect(network.serverEvents.closeReason == .idleTimedOut)
    }

    @Test func `a keep-alive prevents the idle timeout`() throws {
        var client = QUICConfiguration.pinnedClient
        client.maxIdleTimeout = .seconds(5)
        client.keepAliveInterval = .seconds(2)
        let network = try VirtualNetwork.connected(client: client)
        network.run(for: .seconds(60))
        #expect(!network.client.isClosed)
        #expect(!network.server.isClosed)
    }

    @Test func `unansweredSince shows a cut path`() throws {
        let network = try VirtualNetwork.connected()
        network.run(for: .seconds(1))
        #expect(network.client.unansweredSince == nil)
        let heard = network.client.lastReceived
        network.faults.isCut = true
        let stream = try network.client.openStream()
        stream.write(ByteBuffer(string: "anybody there?"))
        let sent = network.loop.now
        network.run(for: .seconds(2))
        #expect(network.client.unansweredSince == sent)
        #expect(network.client.lastReceived == heard)
        network.faults.isCut = false
        try network.run { network.client.unansweredSince == nil }
        #expect(network.client.lastReceived > heard)
    }

    /// As long as it takes until consent on a path has expired and another path is used. The tunnel's idle timeout (75 s)
    /// has to cover that and the wait for the next probe, which has become as long as the outage by then.
    @Test(arguments: [1, 20, 50, 100, 200], [false, true])
    func `a connection outlives a path that was dead for half a minute`(delay: Int64, isBusy: Bool) throws {
        var configurations = (QUICConfiguration.pinnedClient, QUICConfiguration.pinnedServer)
        configurations.0.maxIdleTimeout = .seconds(75)
        configurations.1.maxIdleTimeout = .seconds(75)
        configurations.0.keepAliveInterval = .seconds(10)
        configurations.1.keepAliveInterval = .seconds(10)
        let network = try VirtualNetwork.connected(client: configurations.0, server: configurations.1)
        network.delay = .milliseconds(delay)
        network.serverEvents.onStream = { _ in Echo() }
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        // A full congestion window lets nothing but probes out; an idle connection can send new data at once.
        stream.write(ByteBuffer(repeating: 1, count: isBusy ? 3_000_000 : 10))
        network.run(for: .seconds(isBusy ? 1 : 3))
        network.faults.isCut = true
        network.run(for: .milliseconds(32_500))
        network.faults.isCut = false
        stream.write(ByteBuffer(string: "still there"))
        stream.finish()
        try network.run(for: .seconds(120)) { recorder.isClosed }
        #expect(recorder.closeReason == nil)
        #expect(recorder.receivedBytes == (isBusy ? 3_000_000 : 10) + 11)
    }

    @Test func `forged datagrams do not count as a sign of life`() throws {
        let network = try VirtualNetwork.connected()
        network.run(for: .seconds(1))
        let heard = network.client.lastReceived
        network.inject(ByteBuffer(bytes: [0x40] + [UInt8](repeating: 9, count: 60)), toServer: false)
        network.run(for: .milliseconds(10))
        #expect(network.client.lastReceived == heard)
        #expect(!network.client.isClosed)
    }

    @Test func `a session that was dropped without being closed ends by itself`() throws {
        weak var client: QUICSession?
        do {
            let network = try VirtualNetwork.connected()
            client = network.client
            network.faults.isCut = true
            network.run(for: .seconds(40))
        }
        #expect(client == nil)
    }

    @Test(.timeLimit(.minutes(1))) func `garbage changes nothing`() throws {
        let network = try VirtualNetwork.connected()
        network.serverEvents.onStream = { _ in Echo() }
        var random = SeededGenerator(7)
        for round in 0..<2000 {
            let length = Int.random(in: 0...1500, using: &random)
            var bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            if round % 2 == 0, !bytes.isEmpty { bytes[0] = 0x40 | bytes[0] & 0x3f }
            network.inject(ByteBuffer(bytes: bytes), toServer: round % 3 == 0)
        }
        network.run(for: .milliseconds(10))
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        stream.write(ByteBuffer(string: "still here"))
        stream.finish()
        try network.run { recorder.isClosed }
        #expect(recorder.received == Array("still here".utf8))
    }

    @Test func `garbage does not make a connection at a server`() throws {
        let network = try VirtualNetwork()
        network.faults.isCut = true
        network.run(for: .milliseconds(1))
        var random = SeededGenerator(8)
        for _ in 0..<1000 {
            var bytes = (0..<1300).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            // Looks like an Initial packet of version 1.
            bytes.replaceSubrange(0..<6, with: [0xc0, 0, 0, 0, 1, 8])
            network.inject(ByteBuffer(bytes: bytes), toServer: true)
        }
        network.run(for: .milliseconds(10))
        #expect(!network.server.isHandshakeComplete)
    }
}
