import Dispatch
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Tunnel

@Suite struct AcknowledgementWatchTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    /// Looks every 10 s for `time`; the seconds after which the other end counts as vanished, if it does.
    private func watch(
        for time: Int, _ look: (_ second: Int) -> (segments: Int, probes: Int, sinceLast: Int)
    ) -> Int? {
        var watch = AcknowledgementWatch()
        for second in stride(from: 0, through: time, by: 10) {
            let (segments, probes, sinceLast) = look(second)
            let seen = TCPAcknowledgements(
                unacknowledgedSegments: segments, unansweredProbes: probes, sinceLast: .seconds(Int64(sinceLast)))
            if watch.hasVanished(seen, at: Self.start + .seconds(Int64(second))) { return second }
        }
        return nil
    }

    @Test func `an end that acknowledges nothing for 90 s has vanished`() {
        #expect(self.watch(for: 600) { ($0 < 60 ? 0 : 3, 0, $0 + 3600) } == 150)
        #expect(self.watch(for: 600) { (0, $0 / 30, $0 + 5) } == 150)
    }

    @Test func `an idle connection is left alone`() {
        #expect(self.watch(for: 100_000) { (0, 0, $0) } == nil)
    }

    @Test func `a reader that is alive but takes nothing is probed more and more slowly, up to every 2 minutes`() {
        #expect(self.watch(for: 100_000) { (0, $0 % 120 == 0 ? 1 : 0, $0 % 120) } == nil)
    }

    @Test func `an end that acknowledges now and then is alive, however much is under way`() {
        #expect(self.watch(for: 100_000) { (100, 0, $0 % 80) } == nil)
    }
}

/// What NIO does to a channel that breaks, with real sockets: the one that closes itself for a write that fails, while
/// nothing is read from it.
@Suite(.timeLimit(.minutes(1)))
struct BrokenConnectionTests {
    /// Takes nothing, as a stream does whose window is used up.
    private final class FullStream: SpliceableStream {
        var consumer: (any StreamConsumer)?
        var written = 0
        var isReset = false
        var isWritable = false
        let undeliveredBytes = 0

        func write(_ bytes: ByteBuffer) { self.written += bytes.readableBytes }
        func finish() {}
        func reset(_ code: TunnelErrorCode) { self.isReset = true }
        func resetAfterDelivery(_ code: TunnelErrorCode) { self.isReset = true }
        func stopSending(_ code: TunnelErrorCode) {}
        func consume(_ bytes: Int) {}
        func attach(_ consumer: any StreamConsumer) { self.consumer = consumer }
    }

    @Test func `data sent before a reset is read even if a write fails first`()
        async throws
    {
        let size = 40_000
        let hasReset = DispatchSemaphore(value: 0)
        let service = try TCPService { connection in
            try connection.send([UInt8](repeating: 7, count: size))
            try connection.waitUntilDelivered()
            connection.reset()
            hasReset.signal()
        }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let stream = try await eventLoop.submit { NIOLoopBound(FullStream(), eventLoop: eventLoop) }.get()
        let channel = try await ClientBootstrap(group: eventLoop)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: service.port).get()
        // In one turn of the loop, which hears of the reset by its own write.
        try await eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(
                StreamSplice(splicing: stream.value, watch: nil, socket: { ConnectionSocket($0) }, closed: nil))
            try #require(hasReset.wait(timeout: .now() + 20) == .success)
            for _ in 0..<3 { stream.value.consumer?.streamReceived(ByteBuffer(string: "for nobody")) }
        }.get()
        try? await channel.closeFuture.get()
        try await eventLoop.submit {
            #expect(stream.value.written == size)
            #expect(stream.value.isReset)
        }.get()
        withExtendedLifetime(service) {}
    }
}
