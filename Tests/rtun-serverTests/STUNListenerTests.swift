import AppProto
import CommandSupport
import Foundation
import Logging
import NIOCore
import NIOPosix
import STUN
import Signaling
import Testing

@testable import rtun_server

/// The second port and the second address, on loopback, where every address of 127.0.0.0/8 is one of the host's.
@Suite(.serialized) struct STUNListenerTests {
    private static let key = try? SharedKey(secret: Array("test".utf8))
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    private func configuration(
        _ address: String = "127.0.0.1:0", port: STUNSettings.Port = .automatic, second: String? = nil,
        announced: String? = nil
    ) throws -> ServerConfiguration {
        let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        var configuration = ServerConfiguration(
            address: try ListenAddress(parsing: address, defaultHost: "127.0.0.1"),
            secrets: AcceptedSecrets(try #require(Self.key)),
            logger: silent)
        configuration.stun.port = port
        configuration.stun.address = try second.map {
            STUNSettings.SecondAddress(
                local: try SocketAddress(ipAddress: $0, port: 0),
                announced: try SocketAddress(ipAddress: announced ?? $0, port: 0).packedIPAddress)
        }
        return configuration
    }

    /// Runs `body` beside a server, which is stopped afterwards, with its port and what it announces.
    private func withServer(
        _ configuration: ServerConfiguration, host: String = "127.0.0.1",
        _ body: (_ port: Int, _ announced: [StunServer]) async throws -> Void
    ) async throws {
        let server = try await Server.start(configuration, on: self.eventLoop)
        let result: Result<Void, any Error>
        do {
            try await body(server.port, try await self.welcome(host, port: server.port).stunServers)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.stop()
        try result.get()
    }

    /// What the server says to a client.
    private func welcome(_ host: String, port: Int) async throws -> Welcome {
        let client = try SignalClient(
            configuration: SignalClientConfiguration(
                url: try ServerURL(parsing: "http://\(host):\(port)"), role: .client, key: try #require(Self.key),
                software: "test"),
            eventLoop: self.eventLoop, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let promise = self.eventLoop.makePromise(of: Welcome.self)
        try await self.eventLoop.submit { client.setDelegate(FirstWelcome(promise)) }.get()
        Task {
            _ = await client.run()
            promise.fail(ChannelError.eof)
        }
        let welcome = try await promise.futureResult.get()
        await client.stopAndWait()
        return welcome
    }

    /// Asks from a socket that hears the address it asked and no other; the port that it was seen with.
    private func mappedPort(asking host: String, _ port: Int) async throws -> (seen: UInt16?, own: Int?) {
        let promise = self.eventLoop.makePromise(of: ByteBuffer.self)
        let remote = try SocketAddress(ipAddress: host, port: port)
        let timeout = self.eventLoop.scheduleTask(in: .seconds(5)) {
            promise.fail(ChannelError.connectTimeout(.seconds(5)))
        }
        defer { timeout.cancel() }
        let channel = try await DatagramBootstrap(group: self.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FirstDatagram(promise))
                }
            }
            .connect(to: remote).get()
        let request = STUNMessage(.request, id: TransactionID(high: 1, low: 2)).encoded(fingerprint: true)
        channel.writeAndFlush(AddressedEnvelope(remoteAddress: remote, data: request), promise: nil)
        let answer = try await promise.futureResult.get()
        let own = channel.localAddress?.port
        try? await channel.close()
        return (try ReceivedSTUNMessage(decoding: answer).message.mappedAddress?.port, own)
    }

    private func expectAnswer(from host: String, _ port: Int) async throws {
        let (seen, own) = try await self.mappedPort(asking: host, port)
        #expect(seen.map(Int.init) == own)
    }

    @Test func `a second port answers, and is announced`() async throws {
        for address in ["127.0.0.1:0", "[::]:0"] {
            try await self.withServer(try self.configuration(address)) { port, announced in
                #expect(announced.map(\.address) == [[]])
                let second = Int(try #require(announced.first).port)
                #expect(second != port)
                try await self.expectAnswer(from: "127.0.0.1", second)
                if address.hasPrefix("[") { try await self.expectAnswer(from: "::1", second) }
            }
        }
    }

    @Test func `the welcome tells the time`() async throws {
        try await self.withServer(try self.configuration()) { port, _ in
            let time = try await self.welcome("127.0.0.1", port: port).timeMilliseconds
            #expect(UnixTime.milliseconds - 10_000...UnixTime.milliseconds ~= time)
        }
    }

    @Test func `without a second port nothing is announced`() async throws {
        try await self.withServer(try self.configuration(port: .off)) { _, announced in
            #expect(announced.isEmpty)
        }
    }

    /// A socket of its own, or the one that listens on all addresses: either way the answer comes from whom was asked.
    @Test(arguments: ["127.0.0.1:0", "0.0.0.0:0"])
    func `a second address answers on both ports, and is announced as configured`(address: String) async throws {
        let configuration = try self.configuration(address, second: "127.0.0.2", announced: "203.0.113.2")
        try await self.withServer(configuration) { port, announced in
            let second = try #require(announced.first).port
            #expect(
                announced.dropFirst() == [
                    StunServer(address: [203, 0, 113, 2], port: UInt16(port)),
                    StunServer(address: [203, 0, 113, 2], port: second),
                ])
            for host in ["127.0.0.1", "127.0.0.2"] {
                for asked in [port, Int(second)] { try await self.expectAnswer(from: host, asked) }
            }
        }
        let only = try self.configuration(address, port: .off, second: "127.0.0.2")
        try await self.withServer(only) { port, announced in
            #expect(announced == [StunServer(address: [127, 0, 0, 2], port: UInt16(port))])
            try await self.expectAnswer(from: "127.0.0.2", port)
        }
    }

    @Test func `a second port that is taken is an error if it was given, and left out otherwise`() async throws {
        // An address that no other test uses, nor another process that runs this one.
        let process = ProcessInfo.processInfo.processIdentifier
        let host = "127.\(79 + process >> 16 & 63).\(process >> 8 & 255).\(process & 255)"
        let holder = try await DatagramBootstrap(group: self.eventLoop).bind(
            host: host, port: STUNSettings.usualPort
        ).get()
        let free = try await ServerBootstrap(group: self.eventLoop).bind(host: host, port: 0).get()
        let port = try #require(free.localAddress?.port)
        try await free.close()
        try await self.withServer(try self.configuration("\(host):\(port)"), host: host) { _, announced in
            #expect(announced.isEmpty)
        }
        let error = try await #require(throws: ProgramError.self) {
            let given = STUNSettings.Port.given(UInt16(STUNSettings.usualPort))
            _ = try await Server.start(try self.configuration("\(host):\(port)", port: given), on: self.eventLoop)
        }
        #expect(error.status == .unavailable)
        #expect(error.message.hasPrefix("cannot listen on \(host):3478: address already in use"))
        // What had been opened by then is closed again.
        try await self.withServer(try self.configuration("\(host):\(port)", port: .off), host: host) { _, _ in }
        try await holder.close()
    }

    @Test(arguments: ["127.0.0.1:0", "0.0.0.0:0"])
    func `a second address that is not the host's is an error`(address: String) async throws {
        let error = try await #require(throws: ProgramError.self) {
            _ = try await Server.start(try self.configuration(address, second: "203.0.113.77"), on: self.eventLoop)
        }
        #expect(error.status == .unavailable)
        #expect(error.message.contains("203.0.113.77"))
    }

    @Test(arguments: [
        (STUNSettings.Port.automatic, 8888, false, Int?.some(3478)), (.automatic, 3478, false, 3479),
        (.automatic, 40_000, true, 0), (.given(5), 8888, false, 5), (.given(0), 8888, true, 0), (.off, 8888, true, nil),
    ])
    func `the second port follows from the option and the first port`(
        port: STUNSettings.Port, main: Int, isFree: Bool, number: Int?
    ) {
        #expect(STUNSettings(port: port).portNumber(main: main, isFree: isFree) == number)
    }

    @Test func `the options are read, and nonsense is refused`() throws {
        typealias Address = STUNSettings.SecondAddress
        let local = try SocketAddress(ipAddress: "192.0.2.2", port: 0)
        let rows: [([String], STUNSettings)] = [
            ([], STUNSettings()),
            (["--stun-port", "0"], STUNSettings(port: .given(0))),
            (["--stun-port", "off"], STUNSettings(port: .off)),
            (["--stun-addr", "192.0.2.2"], STUNSettings(address: Address(local: local, announced: [192, 0, 2, 2]))),
            (
                ["--stun-addr", "192.0.2.2=203.0.113.2"],
                STUNSettings(address: Address(local: local, announced: [203, 0, 113, 2]))
            ),
        ]
        for (arguments, settings) in rows {
            #expect(try STUNOptions.parse(arguments).settings == settings)
        }
        for arguments in [
            ["--stun-port", "65536"], ["--stun-port", "-1"], ["--stun-port", ""], ["--stun-addr", "::"],
            ["--stun-addr", "192.0.2.2=2001:db8::1"], ["--stun-addr", "192.0.2.2="], ["--stun-addr", "host"],
        ] {
            #expect(throws: (any Error).self, "\(arguments)") { try STUNOptions.parse(arguments) }
        }
    }
}

/// Hears the first welcome.
private final class FirstWelcome: SignalClientDelegate {
    private let promise: EventLoopPromise<Welcome>

    init(_ promise: EventLoopPromise<Welcome>) {
        self.promise = promise
    }

    func signalConnected(_ session: SignalSession) { self.promise.succeed(session.welcome) }
    func signalLost() {}
    func signalReceived(_ request: SignalRequest) { request.failUnsupported() }
    func signalReceived(event: Envelope.Body) {}
}
