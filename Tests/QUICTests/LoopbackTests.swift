import NIOCore
import NIOPosix
import TLS
import TestSupport
import Testing
import UDP

@testable import QUIC

/// Real sockets on loopback.
@Suite(.timeLimit(.minutes(1))) struct LoopbackTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    /// A server that echoes every stream; its sessions' delegates live as long as the handler.
    private func startServer(
        _ configuration: QUICConfiguration, host: String = "127.0.0.1"
    ) async throws -> any Channel {
        try await DatagramSocketOptions.control.apply(to: DatagramBootstrap(group: Self.group))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    var delegates: [SessionRecorder] = []
                    let handler = try QUICServerHandler(configuration: configuration) { session, _ in
                        let events = SessionRecorder()
                        events.onStream = { _ in Echo() }
                        delegates.append(events)
                        session.delegate = events
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: host, port: 0).get()
    }

    /// Sends `request` on one stream and returns what came back when the server has finished.
    private func exchange(
        _ request: [UInt8], with address: SocketAddress, configuration: QUICConfiguration
    ) async throws -> [UInt8] {
        let loop = Self.group.next()
        let answer = loop.makePromise(of: [UInt8].self)
        QUICClient.connect(to: address, configuration: configuration, eventLoop: loop).whenComplete { result in
            do {
                let session = try result.get().value.session
                let stream = try session.openStream()
                stream.delegate = Exchange(session: session, answer: answer)
                stream.write(ByteBuffer(bytes: request))
                stream.finish()
            } catch {
                answer.fail(error)
            }
        }
        return try await answer.futureResult.get()
    }

    private final class Exchange: QUICStreamDelegate {
        private let session: QUICSession
        private let answer: EventLoopPromise<[UInt8]>
        private var received: [UInt8] = []

        init(session: QUICSession, answer: EventLoopPromise<[UInt8]>) {
            self.session = session
            self.answer = answer
        }

        func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
            self.received += bytes.readableBytesView
            stream.consume(bytes.readableBytes)
        }
        func streamFinished(_ stream: QUICStream) {}
        func stream(_ stream: QUICStream, resetWith code: UInt64) {}
        func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
        func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {
            if let reason { self.answer.fail(reason) } else { self.answer.succeed(self.received) }
            self.session.close(code: 0, reason: "")
        }
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `an echo works over a real socket`(host: String) async throws {
        let channel = try await self.startServer(.pinnedServer, host: host)
        let address = try #require(channel.localAddress)
        let request = Pump.bytes(3_000_000)
        let answer = try await self.exchange(request, with: address, configuration: .pinnedClient)
        #expect(answer == request)
        try await channel.close()
    }

    @Test func `a certificate is accepted for its name and address, and for no other`() async throws {
        var server = QUICConfiguration.pinnedServer
        server.verification = .notRequested
        let channel = try await self.startServer(server)
        let address = try #require(channel.localAddress)
        let folder = try TestFolder()
        let file = try folder.write("authority.pem", TestIdentity.server.certificateChainPEM)
        for name in ["localhost", "127.0.0.1"] {
            var client = QUICConfiguration.pinnedClient
            client.verification = .certificateAuthorities(file: file, serverName: name)
            let answer = try await self.exchange([1, 2, 3], with: address, configuration: client)
            #expect(answer == [1, 2, 3])
        }
        for name in ["example.org", "127.0.0.2"] {
            var client = QUICConfiguration.pinnedClient
            client.verification = .certificateAuthorities(file: file, serverName: name)
            let error = await #expect(throws: QUICCloseReason.self) {
                try await self.exchange([1], with: address, configuration: client)
            }
            guard case .untrusted(let rejection) = error else {
                Issue.record("failed with \(String(describing: error))")
                continue
            }
            #expect(rejection.kind == .nameMismatch(expected: name))
        }
        try await channel.close()
    }

    @Test func `a port without a listener is noticed at once`() async throws {
        let channel = try await DatagramBootstrap(group: Self.group).bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(channel.localAddress)
        try await channel.close()
        let start = NIODeadline.now()
        await #expect(throws: (any Error).self) {
            try await self.exchange([1], with: address, configuration: .pinnedClient)
        }
        #expect(NIODeadline.now() - start < .seconds(5))
    }

    @Test func `GRO and GSO carry a transfer`() async throws {
        let channel = try await DatagramSocketOptions.path.apply(to: DatagramBootstrap(group: Self.group))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    var delegates: [SessionRecorder] = []
                    let handler = try QUICServerHandler(configuration: .pinnedServer) { session, _ in
                        let events = SessionRecorder()
                        events.onStream = { _ in Echo() }
                        delegates.append(events)
                        session.delegate = events
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let request = Pump.bytes(2_000_000)
        let answer = try await self.exchange(
            request, with: try #require(channel.localAddress), configuration: .pinnedClient)
        #expect(answer == request)
        try await channel.close()
    }
}
