import AppProto
import ICE
import Logging
import NIOCore
import NIOEmbedded
import Testing

@testable import PeerChannel

@Suite struct PeerTransportTests {
    /// Counts the ends of batches.
    private final class Recorder: PeerTransportDelegate {
        private(set) var batches = 0

        func transport(_ transport: PeerTransport, gathered candidate: ICECandidate, generation: UInt32) {}
        func transport(
            _ transport: PeerTransport, gatheringEndedWith mapping: MappingBehavior, generation: UInt32
        ) {}
        func transport(_ transport: PeerTransport, pathChangedFrom old: PeerPath?, reason: PathChangeReason) {}
        func transportLimitChanged(_ transport: PeerTransport) {}
        func transport(_ transport: PeerTransport, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {}
        func transportReceiveComplete(_ transport: PeerTransport) { self.batches += 1 }
        func transportWritabilityChanged(_ transport: PeerTransport) {}
        func transport(_ transport: PeerTransport, directPathFailed report: ICEReport) {}
        func transport(_ transport: PeerTransport, failed failure: PeerTransport.Failure) {}
    }

    /// A session fails by a message that came in together with datagrams of the protocol above; its sockets say nothing more.
    @Test func `a batch ends even when its session does in the middle of it`() throws {
        let loop = EmbeddedEventLoop()
        let configuration = try PeerPair.configuration()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let transport = PeerTransport(
            role: .controlled, configuration: configuration, eventLoop: loop, logger: logger
        ) { _, _ in }
        let recorder = Recorder()
        transport.delegate = recorder
        transport.setBridge(.up)
        let session = DirectSession(
            generation: 0, sockets: [], hosts: [], role: .controlled, configuration: configuration, eventLoop: loop,
            logger: logger, peerAnswersPadding: { true })
        transport.adopt(session)
        transport.session(session, failed: .sockets("gone"))
        #expect(recorder.batches == 1)
        transport.close()
        loop.run()
    }
}
