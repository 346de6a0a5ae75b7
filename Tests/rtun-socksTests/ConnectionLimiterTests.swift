import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import rtun_socks

@Suite struct ConnectionLimiterTests {
    /// Counts how often the channel is asked to accept.
    private final class ReadCounter: ChannelOutboundHandler {
        typealias OutboundIn = Never
        var count = 0

        func read(context: ChannelHandlerContext) {
            self.count += 1
        }
    }

    private func listener(limit: Int) throws -> (EmbeddedChannel, ReadCounter) {
        let channel = EmbeddedChannel()
        let reads = ReadCounter()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        try channel.pipeline.syncOperations.addHandlers([reads, ConnectionLimiter(limit: limit, logger: logger)])
        return (channel, reads)
    }

    @Test func `at the limit nobody is accepted until somebody leaves`() throws {
        let (channel, reads) = try self.listener(limit: 1)
        channel.read()
        #expect(reads.count == 1)
        let client = EmbeddedChannel(loop: channel.embeddedEventLoop)
        try channel.writeInbound(client as any Channel)
        channel.read()
        #expect(reads.count == 1)
        client.close(promise: nil)
        channel.embeddedEventLoop.run()
        #expect(reads.count == 2)
    }
}
