import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import CommandSupport

@Suite struct AcceptErrorHandlerTests {
    /// Counts lines.
    private final class LineCount: Sendable {
        private let lines = Mutex(0)

        var value: Int { self.lines.withLock { $0 } }

        func add() {
            self.lines.withLock { $0 += 1 }
        }
    }

    private struct CountingLogHandler: LogHandler {
        let count: LineCount
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            self.count.add()
        }
    }

    @Test func `failing to accept pauses accepting and does not flood the log`() throws {
        let lines = LineCount()
        let logger = Logger(label: "test", factory: { _ in CountingLogHandler(count: lines) })
        let channel = EmbeddedChannel(handler: AcceptErrorHandler(logger: logger))
        var autoRead: Bool? { channel.options.last?.value as? Bool }
        for _ in 0..<1000 {
            channel.pipeline.fireErrorCaught(IOError(errnoCode: 24, reason: "accept"))
        }
        #expect(lines.value == 1)
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
