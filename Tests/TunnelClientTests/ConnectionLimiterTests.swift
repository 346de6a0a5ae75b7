import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import TunnelClient

@Suite struct ConnectionLimiterTests {
    /// Counts how often the channel is asked to accept.
    private final class ReadCounter: ChannelOutboundHandler {
        typealias OutboundIn = Never
        var count = 0

        func read(context: ChannelHandlerContext) {
            self.count += 1
        }
    }

    private func listener(limit: Int) throws -> (EmbeddedChannel, ReadCounter, ConnectionLimiter) {
        let channel = EmbeddedChannel()
        let reads = ReadCounter()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let limiter = ConnectionLimiter(limit: limit, eventLoop: channel.eventLoop, logger: logger)
        try channel.pipeline.syncOperations.addHandlers([reads, ConnectionGate(limiter)])
        return (channel, reads, limiter)
    }

    @Test func `at the limit nobody is accepted until somebody leaves`() throws {
        let (channel, reads, limiter) = try self.listener(limit: 1)
        channel.read()
        #expect(reads.count == 1)
        let client = EmbeddedChannel(loop: channel.embeddedEventLoop)
        try channel.writeInbound(client as any Channel)
        limiter.requestCame(from: client)
        channel.read()
        #expect(reads.count == 1)
        client.close(promise: nil)
        channel.embeddedEventLoop.run()
        #expect(reads.count == 2)
    }

    @Test func `a raised limit admits those that wait`() throws {
        let (channel, reads, limiter) = try self.listener(limit: 1)
        let client = EmbeddedChannel(loop: channel.embeddedEventLoop)
        try channel.writeInbound(client as any Channel)
        limiter.requestCame(from: client)
        channel.read()
        #expect(reads.count == 0)
        limiter.limit = 2
        #expect(reads.count == 1)
        limiter.limit = 1
        channel.read()
        #expect(reads.count == 1)
    }

    @Test func `when places are short, whoever has been silent longest makes room`() throws {
        let (channel, reads, limiter) = try self.listener(limit: 3)
        let clients = (0..<5).map { _ in EmbeddedChannel(loop: channel.embeddedEventLoop) }
        for client in clients { client.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil) }
        for client in clients.prefix(3) { try channel.writeInbound(client as any Channel) }
        limiter.requestCame(from: clients[0])
        // Whoever has just come may be about to say what it wants.
        channel.read()
        #expect(reads.count == 0)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(reads.count == 1)
        try channel.writeInbound(clients[3] as any Channel)
        channel.embeddedEventLoop.run()
        // The first has said what it wants, so that the second is the one.
        #expect(clients.map(\.isActive) == [true, false, true, true, true])
        #expect(limiter.count == 3)
        for client in clients { limiter.requestCame(from: client) }
        let before = reads.count
        channel.read()
        #expect(reads.count == before)
    }

    @Test func `a burst at the limit closes no client that has just come`() throws {
        let (channel, _, _) = try self.listener(limit: 1)
        let clients = (0..<5).map { _ in EmbeddedChannel(loop: channel.embeddedEventLoop) }
        for client in clients {
            client.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            try channel.writeInbound(client as any Channel)
        }
        let areActive = clients.map(\.isActive)
        #expect(!areActive.contains(false))
    }

    @Test func `a client that asks for nothing more makes room, and one that asks again does not`() throws {
        let (channel, reads, limiter) = try self.listener(limit: 2)
        let clients = (0..<3).map { _ in EmbeddedChannel(loop: channel.embeddedEventLoop) }
        for client in clients { client.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil) }
        for client in clients.prefix(2) {
            try channel.writeInbound(client as any Channel)
            limiter.requestCame(from: client)
        }
        channel.read()
        channel.embeddedEventLoop.advanceTime(by: .seconds(5))
        #expect(reads.count == 0)
        limiter.becameIdle(clients[0])
        limiter.becameIdle(clients[1])
        limiter.requestCame(from: clients[0])
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        channel.read()
        #expect(reads.count == 1)
        try channel.writeInbound(clients[2] as any Channel)
        channel.embeddedEventLoop.run()
        #expect(clients.map(\.isActive) == [true, false, true])
    }

    @Test func `all listening sockets share the limit`() throws {
        let (first, firstReads, limiter) = try self.listener(limit: 1)
        let second = EmbeddedChannel(loop: first.embeddedEventLoop)
        let secondReads = ReadCounter()
        try second.pipeline.syncOperations.addHandlers([secondReads, ConnectionGate(limiter)])
        let client = EmbeddedChannel(loop: first.embeddedEventLoop)
        try first.writeInbound(client as any Channel)
        limiter.requestCame(from: client)
        first.read()
        second.read()
        #expect(firstReads.count == 0 && secondReads.count == 0)
        client.close(promise: nil)
        first.embeddedEventLoop.run()
        #expect(firstReads.count == 1 && secondReads.count == 1)
    }

    @Test func `when it drains, those go that are owed nothing, at once or when they have it`() throws {
        let (channel, _, limiter) = try self.listener(limit: 3)
        let clients = (0..<3).map { _ in EmbeddedChannel(loop: channel.embeddedEventLoop) }
        for client in clients {
            client.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            try channel.writeInbound(client as any Channel)
        }
        limiter.requestCame(from: clients[0])
        limiter.requestCame(from: clients[1])
        var isEmpty = false
        limiter.drain().assumeIsolated().whenSuccess { isEmpty = true }
        channel.embeddedEventLoop.run()
        #expect(clients.map(\.isActive) == [true, true, false])
        limiter.becameIdle(clients[0])
        channel.embeddedEventLoop.run()
        #expect(clients.map(\.isActive) == [false, true, false])
        #expect(!isEmpty)
        clients[1].close(promise: nil)
        channel.embeddedEventLoop.run()
        #expect(isEmpty)
    }
}
