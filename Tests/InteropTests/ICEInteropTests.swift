import AppProto
import ICE
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TLS
import TestSupport
import Testing

@testable import PeerChannel

/// Our ICE agent, on real sockets, against aioice.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct ICEInteropTests {
    @Test(arguments: [ICERole.controlling, .controlled])
    func `our agent and aioice find each other in either role`(role: ICERole) async throws {
        let peer = try RunningProgram(
            Interpreter.python,
            [Interpreter.script("ice_peer.py"), role == .controlling ? "controlled" : "controlling"])
        _ = try await peer.line("aioice's candidates") { $0 == "end" }
        let said = peer.output.lines
        let credentials = try #require(said.first).split(separator: " ").map(String.init)
        let candidates = said.filter { $0.hasPrefix("candidate ") }

        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        var configuration = PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: "interop"))
        configuration.loopbackOnly = true
        let logger = Logger(label: "interop") { _ in SwiftLogNoOpLogHandler() }
        let observer = TransportObserver()
        let ours = try await eventLoop.flatSubmit { [configuration] in
            let transport = PeerTransport(
                role: role, configuration: configuration, eventLoop: eventLoop, logger: logger
            ) { _, _ in }
            observer.watch(transport)
            let bound = NIOLoopBound(transport, eventLoop: eventLoop)
            return DirectSession.open(
                generation: 0, role: role, configuration: configuration, eventLoop: eventLoop, logger: logger,
                peerAnswersPadding: { false }
            ).flatMapThrowing { opened in
                let (transport, session) = (bound.value, opened.value)
                transport.adopt(session)
                session.gather(from: [])
                session.setRemote(credentials: try ICECredentials(ufrag: credentials[0], pwd: credentials[1]))
                for candidate in candidates { session.addRemote(candidate: try ICECandidate(line: candidate)) }
                session.remoteCandidatesEnded()
                return "\(session.localCredentials.ufrag) \(session.localCredentials.pwd)\n"
                    + session.localCandidates.map(\.line).joined() + "end\n"
            }
        }.get()
        try peer.write(ours)

        _ = try await peer.line("aioice being connected") { $0 == "connected" }
        let greeting = try await within(.seconds(10), "the greeting") { await observer.received.first { _ in true } }
        #expect(greeting == "greetings from aioice")
        _ = try await peer.line("our answer") { $0 == "received greetings from rtun" }
        try await eventLoop.submit { observer.close() }.get()
        await peer.kill9()
    }
}

/// Keeps a transport alive and answers the first datagram. Its state is touched on the transport's event loop only.
private final class TransportObserver: PeerTransportDelegate, @unchecked Sendable {
    let received: AsyncStream<String>
    private let arrived: AsyncStream<String>.Continuation
    private var transport: PeerTransport?

    init() { (self.received, self.arrived) = AsyncStream.makeStream(of: String.self) }

    func watch(_ transport: PeerTransport) {
        self.transport = transport
        transport.delegate = self
    }

    func close() {
        self.transport?.close()
        self.transport = nil
    }

    func transport(_ transport: PeerTransport, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {
        // The first byte is QUIC's as far as RFC 9443 is concerned; the rest is text.
        self.arrived.yield(
            String(buffer: bytes.getSlice(at: bytes.readerIndex + 1, length: bytes.readableBytes - 1) ?? bytes))
        transport.send(ByteBuffer(bytes: [0x80] + Array("greetings from rtun".utf8)), segmentSize: nil)
    }

    func transport(_ transport: PeerTransport, gathered candidate: ICECandidate, generation: UInt32) {}
    func transport(_ transport: PeerTransport, gatheringEndedWith mapping: MappingBehavior, generation: UInt32) {}
    func transport(_ transport: PeerTransport, directPathFailed report: ICEReport) {}
    func transportLimitChanged(_ transport: PeerTransport) {}
    func transport(_ transport: PeerTransport, pathChangedFrom old: PeerPath?, reason: PathChangeReason) {}
    func transportReceiveComplete(_ transport: PeerTransport) {}
    func transportWritabilityChanged(_ transport: PeerTransport) {}
    func transport(_ transport: PeerTransport, failed failure: PeerTransport.Failure) { self.arrived.finish() }
}

extension ICECandidate {
    /// The candidate in the grammar of RFC 8839 §5.1, as a line.
    fileprivate var line: String {
        "candidate \(self.foundation) 1 udp \(self.priority) \(self.address.ipAddress ?? "") \(self.address.port ?? 0) typ host\n"
    }

    /// Reads a host candidate in the grammar of RFC 8839 §5.1.
    fileprivate init(line: String) throws {
        let fields = line.split(separator: " ").map(String.init)
        try #require(fields.count >= 9 && fields[8] == "host")
        self.init(
            kind: .host, foundation: fields[1], priority: try #require(UInt32(fields[4])),
            address: try SocketAddress(ipAddress: fields[5], port: try #require(Int(fields[6]))))
    }
}
