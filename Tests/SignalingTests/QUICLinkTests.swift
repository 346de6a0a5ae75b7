import NIOCore
import NIOPosix
import QUIC
import TLS
import Testing

@testable import Signaling

/// What only QUIC can get wrong.
@Suite(.timeLimit(.minutes(1))) struct QUICLinkTests {
    /// Connects without a link, and writes `bytes` on the first stream.
    private func write(_ bytes: ByteBuffer, finish: Bool = false, to url: ServerURL) async throws {
        var configuration = QUICConfiguration(
            applicationProtocol: SignalLinkLimits.quicApplicationProtocol, identity: nil, verification: .insecure)
        configuration.maxIdleTimeout = .seconds(5)
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let address = try SocketAddress(ipAddress: url.host, port: Int(url.port))
        let connection = try await QUICClient.connect(to: address, configuration: configuration, eventLoop: eventLoop)
            .get()
        try await eventLoop.submit {
            let stream = try connection.value.session.openStream()
            stream.write(bytes)
            if finish { stream.finish() }
        }.get()
    }

    @Test(arguments: [
        (ByteBuffer(integer: UInt32(SignalLinkLimits.maximumMessageSize + 1)), false, "more than"),
        (ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"), false, "more than"),
        (ByteBuffer(bytes: [0, 0, 0, 9, 1]), true, "without a farewell"),
    ])
    func `anything but a record closes the link`(bytes: ByteBuffer, finish: Bool, reason: String) async throws {
        let (links, continuation) = AsyncStream.makeStream(of: LinkProbe.self)
        let server = try await LoopbackServer.start(.quic, identity: .selfSigned(commonName: "localhost")) {
            continuation.yield(LinkProbe($0))
        }
        try await self.write(bytes, finish: finish, to: server.url)
        for await link in links {
            guard case .closed(let error?) = await link.next() else {
                Issue.record("in order")
                break
            }
            #expect(error.contains(reason))
            break
        }
        try await server.stop()
    }

    @Test(arguments: CongestionControl.allCases)
    func `a link sends by the congestion control that was asked for`(congestionControl: CongestionControl) async throws
    {
        let server = try await LoopbackServer.start(.quic, identity: .selfSigned(commonName: "localhost")) { _ in }
        var configuration = SignalClientConfiguration(
            url: server.url, role: .client, key: testKey, software: "test/1")
        configuration.quicInsecure = true
        configuration.congestionControl = congestionControl
        let probe = try await LinkTests.connect(configuration.connector()).get()
        try await probe.link.eventLoop.submit {
            #expect((probe.link.value as? QUICLink)?.session.congestionControl == congestionControl)
        }.get()
        try await server.stop()
    }

    @Test func `a port without a listener is reported at once`() async throws {
        let server = try await LoopbackServer.start(.quic, identity: .selfSigned(commonName: "localhost")) { _ in }
        try await server.stop()
        guard case .failure(.unreachable(let attempts)) = await LinkTests.connect(try LinkTests.connector(server.url))
        else {
            Issue.record("not told")
            return
        }
        #expect(attempts == [.init(address: "127.0.0.1:\(server.url.port)", reason: "connection refused")])
    }

    @Test func `another application protocol is refused`() async throws {
        let server = try await LoopbackServer.start(.quic, identity: .selfSigned(commonName: "localhost")) { _ in }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let configuration = QUICConfiguration(applicationProtocol: "h3", identity: nil, verification: .insecure)
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: Int(server.url.port))
        await #expect(throws: QUICCloseReason.self) {
            try await QUICClient.connect(to: address, configuration: configuration, eventLoop: eventLoop).get()
        }
        try await server.stop()
    }
}
