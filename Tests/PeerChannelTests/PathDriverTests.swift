import Logging
import NIOCore
import NIOEmbedded
import PeerPath
import PeerTestSupport
import Testing

@testable import PeerChannel

@Suite struct PathDriverTests {
    /// Counts the ends of batches.
    private final class Recorder: PathDriverDelegate {
        private(set) var batches = 0

        func path(_ driver: PathDriver, wants output: PathOutput) {}
        func path(_ driver: PathDriver, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {}
        func pathReceiveComplete(_ driver: PathDriver) { self.batches += 1 }
        func pathWritabilityChanged(_ driver: PathDriver) {}
    }

    /// A session fails by a message that came in together with datagrams of the protocol above; its sockets say nothing more.
    @Test func `a batch ends even if its session ends in the middle of it`() throws {
        let loop = EmbeddedEventLoop()
        let driver = PathDriver(
            side: .agent, configuration: try PeerPair.configuration(), eventLoop: loop,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { _, _ in }
        let recorder = Recorder()
        driver.delegate = recorder
        driver.tell { $0.socketsOpened(generation: 0, hosts: [], at: $1) }
        #expect(recorder.batches == 0)
        driver.tell { $0.socketsLost(generation: 0, at: $1) }
        #expect(recorder.batches == 1)
        driver.close()
        loop.run()
    }
}
