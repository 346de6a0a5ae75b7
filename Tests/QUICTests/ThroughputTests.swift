import Foundation
import NIOCore
import NIOEmbedded
import Testing

@testable import QUIC

/// Not a test of correctness: `RTUN_BENCHMARK=1 swift test -c release -Xswiftc -enable-testing --filter
/// ThroughputTests` prints what both ends of a connection cost together on one core.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["RTUN_BENCHMARK"] != nil)) struct ThroughputTests {
    /// Counts and consumes.
    private final class Sink: QUICStreamDelegate {
        var received = 0
        var isFinished = false
        func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
            self.received += bytes.readableBytes
            stream.consume(bytes.readableBytes)
        }
        func streamFinished(_ stream: QUICStream) { self.isFinished = true }
        func stream(_ stream: QUICStream, resetWith code: UInt64) {}
        func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
        func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
    }

    @Test func `the goodput of one stream in memory is printed`() throws {
        let network = try VirtualNetwork.connected()
        network.delay = .microseconds(100)
        let sink = Sink()
        network.serverEvents.onStream = { _ in sink }
        let total = 1_000_000_000
        let stream = try network.client.openStream()
        let pump = Pump(total: total, pieceSize: 64 << 10)
        stream.delegate = pump
        let start = ContinuousClock.now
        pump.start(stream)
        try network.run(for: .minutes(10)) { sink.isFinished }
        let elapsed = ContinuousClock.now - start
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        print("QUIC in memory: \(Double(total) * 8 / seconds / 1e9) Gbit/s, \(network.datagramCount) datagrams")
        #expect(sink.received == total)
    }
}
