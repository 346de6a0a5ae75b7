import AppProto
import ICE
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TLS
import TestSupport
import Testing

import PeerPath
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
        let observer = PathObserver()
        let described = eventLoop.makePromise(of: String.self)
        try await eventLoop.submit { [configuration] in
            let driver = PathDriver(
                side: role == .controlling ? .client : .agent, configuration: configuration, eventLoop: eventLoop,
                logger: logger
            ) { _, _ in }
            observer.start(driver, described: described)
        }.get()
        let ours = try await described.futureResult.get()
        try await eventLoop.submit {
            try observer.connect(
                PathDescription(
                    generation: 0, credentials: try ICECredentials(ufrag: credentials[0], pwd: credentials[1]),
                    candidates: try candidates.map { try ICECandidate(line: $0) }))
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

/// Keeps paths alive and answers the first datagram. Its state is touched on their event loop only.
private final class PathObserver: PathDriverDelegate, @unchecked Sendable {
    let received: AsyncStream<String>
    private let arrived: AsyncStream<String>.Continuation
    private var driver: PathDriver?
    private var described: EventLoopPromise<String>?

    init() { (self.received, self.arrived) = AsyncStream.makeStream(of: String.self) }

    func start(_ driver: PathDriver, described: EventLoopPromise<String>) {
        self.driver = driver
        self.described = described
        driver.delegate = self
        driver.tell { engine, _ in engine.start() }
    }

    func connect(_ peer: PathDescription) throws {
        self.driver?.tell { engine, now in
            engine.receive(.description(peer, answersPadding: false), at: now)
            engine.receive(.endOfCandidates(generation: 0, .unknown, spread: 0), at: now)
        }
    }

    func close() {
        self.driver?.close()
        self.driver = nil
    }

    func path(_ driver: PathDriver, received bytes: ByteBuffer, segmentSize: Int?, arrival: UInt32) {
        // The first byte is QUIC's as far as RFC 9443 is concerned; the rest is text.
        self.arrived.yield(
            String(buffer: bytes.getSlice(at: bytes.readerIndex + 1, length: bytes.readableBytes - 1) ?? bytes))
        driver.send(ByteBuffer(bytes: [0x80] + Array("greetings from rtun".utf8)), segmentSize: nil)
    }

    func path(_ driver: PathDriver, wants output: PathOutput) {
        switch output {
        case .described:
            let local = driver.engine.localDescription
            self.described?.succeed(
                "\(local.credentials.ufrag) \(local.credentials.pwd)\n" + local.candidates.map(\.line).joined()
                    + "end\n")
        case .ended: self.arrived.finish()
        default: break
        }
    }

    func pathReceiveComplete(_ driver: PathDriver) {}
    func pathWritabilityChanged(_ driver: PathDriver) {}
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
