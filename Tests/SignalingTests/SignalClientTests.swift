import AppProto
import Foundation
import NIOCore
import NIOPosix
import TLS
import TestSupport
import Testing

@testable import Signaling

/// The whole client against a server in this process, over every transport.
@Suite(.timeLimit(.minutes(1))) struct SignalClientTests {
    /// A broker with the manners of the real one, and nothing behind it.
    private struct Broker {
        let server: LoopbackServer
        let connections: AsyncStream<NIOLoopBound<SignalConnection>>

        static func start(
            _ scheme: ServerURL.Scheme, identity: Identity?, port: Int = 0, key: SharedKey = testKey
        ) async throws -> Broker {
            let (connections, continuation) = AsyncStream.makeStream(of: NIOLoopBound<SignalConnection>.self)
            let server = try await LoopbackServer.start(scheme, identity: identity, port: port) { link in
                let acceptor = SignalAcceptor(link: link, secrets: AcceptedSecrets(key), software: "rtun-server/test") {
                    acceptor, outcome in
                    guard case .success(let hello) = outcome.map(\.hello) else { return }
                    let welcome = Welcome(
                        instanceID: hello.agent == nil ? nil : .random(), agentName: hello.agent?.name ?? "",
                        resumeToken: hello.agent == nil ? [] : [1], observedAddress: "", software: "rtun-server/test")
                    guard let connection = acceptor.welcome(welcome) else { return }
                    let delegate = RecordingConnectionDelegate()
                    delegate.answer = { $0.respond(.agentList(AgentList(agents: []))) }
                    connection.delegate = delegate
                    connection.start()
                    continuation.yield(NIOLoopBound(connection, eventLoop: link.eventLoop))
                }
                acceptor.start()
            }
            return Broker(server: server, connections: connections)
        }

        func nextConnection() async -> NIOLoopBound<SignalConnection>? {
            for await connection in self.connections { return connection }
            return nil
        }
    }

    private static let identity: Result<Identity, any Error> = Result {
        try Identity.selfSigned(commonName: "localhost")
    }

    private func client(
        _ url: ServerURL, key: SharedKey = testKey, insecure: Bool = true, caFile: String? = nil,
        log: LogRecord = LogRecord()
    ) throws -> SignalClient {
        var configuration = SignalClientConfiguration(url: url, role: .client, key: key, software: "test/1")
        configuration.httpsInsecure = insecure
        configuration.quicInsecure = insecure
        configuration.certificateAuthorityFile = caFile
        return try SignalClient(
            configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: log.logger)
    }

    /// What the client tells, as a stream.
    private func sessions(of client: SignalClient) async throws -> AsyncStream<SignalSession> {
        let (sessions, continuation) = AsyncStream.makeStream(of: SignalSession.self)
        try await client.eventLoop.submit {
            let delegate = RecordingClientDelegate()
            delegate.onConnect = { continuation.yield($0) }
            client.setDelegate(delegate)
        }.get()
        return sessions
    }

    @Test(arguments: ServerURL.Scheme.allCases) func `a client connects, asks, and comes back to a new server`(
        scheme: ServerURL.Scheme
    ) async throws {
        let identity = scheme == .http ? nil : try Self.identity.get()
        let broker = try await Broker.start(scheme, identity: identity)
        let client = try self.client(broker.server.url)
        let sessions = try await self.sessions(of: client)
        async let terminal = client.run()
        for await session in sessions {
            #expect(session.serverIsLoopback)
            #expect(session.remoteAddress?.port == Int(broker.server.url.port))
            break
        }
        #expect(try await client.request(.listAgents()).get() == .agentList(AgentList(agents: [])))

        // Over QUIC a killed server is noticed by its silence only; one that restarts says goodbye.
        let connection = try #require(await broker.nextConnection())
        try await connection.eventLoop.submit { connection.value.close(Goodbye(code: .shutdown)) }.get()
        try await broker.server.stop()
        let next = try await Broker.start(scheme, identity: identity, port: Int(broker.server.url.port))
        for await _ in sessions {
            // It may have been back at the old server for a moment.
            if case .agentList = try? await client.request(.listAgents(), timeout: .seconds(2)).get() { break }
        }
        #expect(await next.nextConnection() != nil)

        client.stop()
        #expect(await terminal == .stopped)
        try await next.server.stop()
    }

    @Test(arguments: ServerURL.Scheme.allCases) func `a wrong secret ends within 2 s`(
        scheme: ServerURL.Scheme
    ) async throws {
        let broker = try await Broker.start(scheme, identity: scheme == .http ? nil : Self.identity.get())
        let client = try self.client(broker.server.url, key: otherKey)
        let begin = NIODeadline.now()
        guard case .refused = await client.run() else {
            Issue.record("not refused")
            return
        }
        // No second try: the first wait is up to half a second, the server's throttle 1 s and more.
        #expect(NIODeadline.now() - begin < .seconds(10))
        try await broker.server.stop()
    }

    @Test(arguments: [ServerURL.Scheme.https, .quic])
    func `a man in the middle with another certificate is detected`(scheme: ServerURL.Scheme) async throws {
        let broker = try await Broker.start(scheme, identity: Self.identity.get())
        let connector = try LinkTests.connector(broker.server.url)
        // Passes every message on, in both directions, between two TLS connections.
        let middle = try await LoopbackServer.start(scheme, identity: .selfSigned(commonName: "localhost")) { near in
            connector.connect(on: near.eventLoop) { result in
                guard case .success(let far) = result else { return near.close() }
                near.delegate = Forwarder(to: far)
                far.delegate = Forwarder(to: near)
            }
        }
        let outcome = await (try self.client(middle.url)).run()
        guard case .refused(let detail) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(detail.contains("man in the middle"))
        try await middle.stop()
        try await broker.server.stop()
    }

    private final class Forwarder: SignalLinkDelegate {
        let other: any SignalLink

        init(to other: any SignalLink) {
            self.other = other
        }

        func link(_ link: any SignalLink, received message: ByteBuffer) {
            self.other.send(message)
        }

        func linkClosed(_ link: any SignalLink, error: (any Error)?) {
            self.other.close()
        }
    }

    @Test(arguments: [ServerURL.Scheme.https, .quic])
    func `an untrusted certificate is reported once, with what to do`(scheme: ServerURL.Scheme) async throws {
        let broker = try await Broker.start(scheme, identity: Self.identity.get())
        let log = LogRecord()
        let client = try self.client(broker.server.url, insecure: false, log: log)
        let run = Task { await client.run() }
        while log.lines.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
        run.cancel()
        #expect(await run.value == .stopped)
        #expect(log.lines[0].level == .warning)
        #expect(log.lines[0].metadata["error"].map { "\($0)".contains("not trusted") } == true)
        #expect(log.lines[0].metadata["advice"].map { "\($0)".contains("--ca-cert") } == true)
        #expect(log.lines[0].metadata["advice"].map { "\($0)".contains("--\(scheme.rawValue)-insecure") } == true)
        #expect(log.lines[1].level == .debug)
        try await broker.server.stop()
    }

    @Test func `a file of authorities that cannot be read is reported before the first attempt`() throws {
        for scheme in [ServerURL.Scheme.https, .quic] {
            let url = ServerURL(scheme: scheme, host: "localhost", port: 1, prefix: "")
            #expect(throws: (any Error).self) {
                try self.client(url, insecure: false, caFile: "/nonexistent/ca.pem")
            }
        }
    }
}
