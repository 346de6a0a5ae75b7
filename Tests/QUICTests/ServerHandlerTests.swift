import NIOCore
import NIOEmbedded
import TLS
import TestSupport
import Testing

@testable import QUIC

@Suite struct ServerHandlerTests {
    @Test func `clients from several addresses have sessions of their own`() throws {
        let server = try VirtualServer()
        let clients = try (1...5).map { try server.connect($0) }
        try server.run { clients.allSatisfy(\.events.isConnected) && server.accepted.allSatisfy(\.events.isConnected) }
        #expect(server.handler.sessionCount == 5)
        #expect(server.accepted.map(\.remote) == clients.map(\.address))
        for (number, client) in clients.enumerated() {
            let stream = try #require(try client.session?.openStream())
            let recorder = StreamRecorder()
            stream.delegate = recorder
            stream.write(ByteBuffer(integer: UInt64(number)))
            stream.finish()
            try server.run { recorder.isClosed }
            #expect(recorder.received.last == UInt8(number))
        }
    }

    @Test func `closed sessions leave the table`() throws {
        let server = try VirtualServer()
        let client = try server.connect(1)
        try server.run { client.events.isConnected && server.accepted[0].events.isConnected }
        client.session?.close(code: 0, reason: "")
        try server.run(for: .seconds(5)) { server.handler.sessionCount == 0 }
        #expect(server.accepted[0].events.closeReason == .peer(code: 0, reason: ""))
    }

    @Test func `what is not QUIC is passed on`() throws {
        let server = try VirtualServer()
        for first in [0, 20, 63, 128, 191] as [UInt8] {
            try server.inject(ByteBuffer(bytes: [first, 1, 2]), from: server.address(1))
            let passed = try server.channel.readInbound(as: AddressedEnvelope<ByteBuffer>.self)
            #expect(passed?.data == ByteBuffer(bytes: [first, 1, 2]))
        }
        for first in [64, 127, 192, 255] as [UInt8] {
            try server.inject(ByteBuffer(bytes: [first, 1, 2]), from: server.address(1))
            #expect(try server.channel.readInbound(as: AddressedEnvelope<ByteBuffer>.self) == nil)
        }
        #expect(server.handler.sessionCount == 0)
    }

    @Test func `a restarted server with the same key resets old connections`() throws {
        var configuration = QUICConfiguration.pinnedServer
        configuration.statelessResetKey = [UInt8](repeating: 5, count: 32)
        let server = try VirtualServer(configuration: configuration)
        let client = try server.connect(1)
        try server.run { client.events.isConnected && server.accepted[0].events.isConnected }
        try server.run(for: .seconds(1))
        try server.restart(configuration: configuration)
        let stream = try #require(try client.session?.openStream())
        stream.write(ByteBuffer(repeating: 1, count: 500))
        try server.run(for: .seconds(5)) { client.events.closeReason != nil }
        #expect(client.events.closeReason == .statelessReset)
    }

    @Test func `a reset with another key is ignored`() throws {
        let server = try VirtualServer()
        let client = try server.connect(1)
        try server.run { client.events.isConnected && server.accepted[0].events.isConnected }
        try server.run(for: .seconds(1))
        try server.restart(configuration: .pinnedServer)
        let stream = try #require(try client.session?.openStream())
        stream.write(ByteBuffer(repeating: 1, count: 500))
        try server.run(for: .seconds(5))
        #expect(client.events.closeReason == nil)
    }

    @Test func `resets are shorter than what they answer, and not sent for the shortest`() throws {
        let server = try VirtualServer()
        for length in [10, 21, 22, 30, 100] {
            try server.inject(
                ByteBuffer(bytes: [0x45] + [UInt8](repeating: 1, count: length - 1)), from: server.address(9))
            try server.run(for: .milliseconds(1))
            let answer = server.strays.last
            if length <= 21 {
                #expect(answer == nil)
            } else {
                #expect((answer?.readableBytes ?? .max) < length)
                #expect((answer?.readableBytes ?? 0) >= 21)
            }
        }
    }

    @Test func `stateless answers are limited`() throws {
        var limits = QUICServerHandler.Limits()
        limits.statelessAnswersPerSecond = 10
        let server = try VirtualServer(limits: limits)
        for _ in 0..<100 {
            try server.inject(ByteBuffer(bytes: [0x45] + [UInt8](repeating: 1, count: 99)), from: server.address(9))
        }
        try server.run(for: .milliseconds(1))
        #expect(server.strays.count == 10)
    }

    @Test func `another version is answered with ours`() throws {
        let server = try VirtualServer()
        var datagram = ByteBuffer(bytes: [0xc0, 0xba, 0xba, 0xba, 0xba, 4, 1, 2, 3, 4, 3, 7, 8, 9])
        try server.inject(datagram, from: server.address(9))
        datagram.writeRepeatingByte(0, count: 1200)
        try server.inject(datagram, from: server.address(9))
        try server.run(for: .milliseconds(1))
        #expect(server.strays.count == 1)
        let answer = Array(try #require(server.strays.first).readableBytesView)
        #expect(answer[0] & 0x80 != 0)
        // Version 0, the ids swapped, then the versions (RFC 9000 §17.2.1).
        #expect(Array(answer[1...]) == [0, 0, 0, 0, 3, 7, 8, 9, 4, 1, 2, 3, 4, 0, 0, 0, 1])
    }

    @Test func `a busy server makes clients prove their address`() throws {
        var limits = QUICServerHandler.Limits()
        limits.retryAbove = 0
        let server = try VirtualServer(limits: limits)
        let client = try server.connect(1)
        // The first packet makes no session.
        server.channel.embeddedEventLoop.run()
        try server.run { server.sent > 0 }
        #expect(server.accepted.isEmpty)
        try server.run {
            client.events.isConnected && !server.accepted.isEmpty && server.accepted[0].events.isConnected
        }
        #expect(server.handler.sessionCount == 1)
    }

    @Test func `half-open connections are limited`() throws {
        var limits = QUICServerHandler.Limits()
        limits.maxHandshakes = 3
        let server = try VirtualServer(limits: limits)
        var initials: [ByteBuffer] = []
        for _ in 0..<10 {
            let loop = server.channel.eventLoop
            let session = try QUICSession.client(configuration: .pinnedClient, eventLoop: loop) {
                initials.append($0.payload)
            }
            server.channel.embeddedEventLoop.run()
            session.close(code: 0, reason: "")
        }
        for (number, initial) in initials.enumerated() { try server.inject(initial, from: server.address(number + 1)) }
        #expect(server.handler.sessionCount == 3)
        // They are forgotten in time.
        try server.run(for: .seconds(60)) { server.handler.sessionCount == 0 }
        let client = try server.connect(77)
        try server.run { client.events.isConnected }
    }

    /// First packets of as many clients, which go no further.
    private func initials(_ count: Int, of server: VirtualServer) throws -> [ByteBuffer] {
        var initials: [ByteBuffer] = []
        for _ in 0..<count {
            let session = try QUICSession.client(
                configuration: .pinnedClient, eventLoop: server.channel.eventLoop
            ) { initials.append($0.payload) }
            server.channel.embeddedEventLoop.run()
            session.close(code: 0, reason: "")
        }
        return initials
    }

    @Test func `no socket answers with the reset of a connection at another one`() throws {
        let server = try VirtualServer()
        let other = try server.anotherSocket()
        let client = try server.connect(1)
        try server.run { client.events.isConnected }
        try server.run(for: .seconds(1))
        let stream = try #require(client.session).openStream()
        stream.write(ByteBuffer(string: "x"))
        server.channel.embeddedEventLoop.run()
        let packet = try #require(server.takeOutbox(of: client).first)
        let attacker = try SocketAddress(ipAddress: "2001:db8::666", port: 666)
        /// What the other socket answers to a packet of a connection that is not its own.
        func answer(to packet: ByteBuffer) throws -> ByteBuffer? {
            try other.writeInbound(AddressedEnvelope(remoteAddress: attacker, data: packet))
            other.pipeline.fireChannelReadComplete()
            return try other.readOutbound(as: AddressedEnvelope<ByteBuffer>.self)?.data
        }
        #expect(try answer(to: packet) == nil)
        // Of a connection that nobody knows it does.
        var unknown = packet
        unknown.setInteger(UInt64.max, at: unknown.readerIndex + 1)
        #expect(try answer(to: unknown) != nil)
    }

    @Test func `a flood of half-open connections keeps nobody out`() throws {
        var limits = QUICServerHandler.Limits()
        limits.maxHandshakes = 8
        limits.maxHandshakesPerSource = 4
        limits.retryAbove = 6
        let server = try VirtualServer(limits: limits)
        let flooder = try server.address(1)
        for initial in try self.initials(20, of: server) {
            var address = flooder
            address.port = Int.random(in: 2000...60_000)
            try server.inject(initial, from: address)
        }
        #expect(server.handler.sessionCount <= 4)
        // Others, with all places taken.
        for (number, initial) in try self.initials(4, of: server).enumerated() {
            try server.inject(initial, from: server.address(number + 10))
        }
        let client = try server.connect(77)
        try server.run { client.events.isConnected }
    }

    @Test func `a datagram from another address is dropped`() throws {
        let server = try VirtualServer()
        let client = try server.connect(1)
        try server.run { client.events.isConnected && server.accepted[0].events.isConnected }
        try server.run(for: .seconds(1))
        var stolen: [ByteBuffer] = []
        let thief = try server.address(66)
        let stream = try #require(try client.session?.openStream())
        stream.write(ByteBuffer(string: "x"))
        server.channel.embeddedEventLoop.run()
        // Delivered from elsewhere instead.
        stolen = server.takeOutbox(of: client)
        #expect(!stolen.isEmpty)
        for datagram in stolen { try server.inject(datagram, from: thief) }
        let heard = server.accepted[0].session.lastReceived
        try server.run(for: .milliseconds(1))
        #expect(server.accepted[0].session.lastReceived == heard)
        #expect(server.strays.isEmpty)
    }

    @Test func `a new certificate serves new connections and leaves the old ones alone`() throws {
        let server = try VirtualServer()
        let old = try server.connect(1)
        try server.run { old.events.isConnected }
        try server.handler.replaceIdentity(TestIdentity.stranger)
        let new = try server.connect(2, configuration: .pinned(TestIdentity.client, peer: TestIdentity.stranger))
        try server.run { new.events.isConnected }
        #expect(new.session?.peerFingerprint == TestIdentity.stranger.leafFingerprint)
        #expect(old.session?.isClosed == false)
    }

    @Test func `closing the channel closes the sessions`() throws {
        let server = try VirtualServer()
        let client = try server.connect(1)
        try server.run { client.events.isConnected && server.accepted[0].events.isConnected }
        _ = try server.channel.finish(acceptAlreadyClosed: true)
        server.channel.embeddedEventLoop.run()
        #expect(server.accepted[0].session.isClosed)
    }

    @Test func `garbage of all kinds does not make sessions`() throws {
        let server = try VirtualServer()
        var random = SeededGenerator(11)
        for round in 0..<3000 {
            var bytes = (0..<Int.random(in: 1...1500, using: &random)).map { _ in
                UInt8.random(in: .min ... .max, using: &random)
            }
            bytes[0] |= 0x40
            if round % 2 == 0, bytes.count > 6 { bytes.replaceSubrange(0..<6, with: [0xc0, 0, 0, 0, 1, 8]) }
            try server.inject(ByteBuffer(bytes: bytes), from: server.address(round % 200))
        }
        // Random bytes can look like a client's first packet; such a connection fails at once.
        try server.run(for: .seconds(15))
        #expect(server.handler.sessionCount == 0)
    }
}
