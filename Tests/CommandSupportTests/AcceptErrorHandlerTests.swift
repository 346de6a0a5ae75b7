import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import CommandSupport

@Suite struct AcceptErrorHandlerTests {
    @Test func `failing to accept pauses accepting and does not flood the log`() throws {
        let log = LogRecord()
        let channel = EmbeddedChannel(handler: AcceptErrorHandler(logger: log.logger))
        var autoRead: Bool? { channel.options.last?.value as? Bool }
        for _ in 0..<1000 {
            channel.pipeline.fireErrorCaught(IOError(errnoCode: 24, reason: "accept"))
        }
        #expect(log.lines.count == 1)
        #expect(autoRead == false)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
        #expect(autoRead == true)
        channel.pipeline.fireErrorCaught(IOError(errnoCode: 24, reason: "accept"))
        #expect(autoRead == false)
        channel.pipeline.fireChannelInactive()
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(autoRead == false)
        #expect(throws: IOError.self) { try channel.throwIfErrorCaught() }
    }
}
