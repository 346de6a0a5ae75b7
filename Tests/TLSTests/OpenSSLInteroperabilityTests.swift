import Foundation
import NIOCore
import NIOPosix
import TLS
import TestSupport
import Testing

/// Against OpenSSL's own programs, over loopback.
@Suite(.serialized, .timeLimit(.minutes(1))) struct OpenSSLInteroperabilityTests {
    let directory: TestFolder
    let identity: Identity
    let authority: String

    init() throws {
        self.directory = try TestFolder()
        self.identity = try #require(Identity.shared)
        self.authority = try self.directory.write("cert.pem", self.identity.certificateChainPEM)
        try self.directory.write("key.pem", self.identity.privateKeyPEM)
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `s_client sends to an echo of ours and reads it back`(version: String) async throws {
        let context = try TLSContext.server(identity: self.identity)
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([TLSHandler(context: context), Echo()])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let text = (0..<3_000).map { "line \($0)\n" }.joined()
        let output = try await run(
            "openssl s_client -connect 127.0.0.1:\(port) -verify_return_error -CAfile \(self.authority) "
                + "-verify_ip 127.0.0.1 -alpn http/1.1 -quiet -no_ign_eof \(version)",
            input: text, until: text.utf8.count)
        #expect(output == text)
        try await server.close()
    }

    @Test func `s_client with an old version is refused`() async throws {
        let context = try TLSContext.server(identity: self.identity)
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([TLSHandler(context: context), Echo()])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let error = #expect(throws: CommandFailed.self) {
            try self.directory.openssl("s_client -connect 127.0.0.1:\(port) -tls1_1 -cipher DEFAULT@SECLEVEL=0")
        }
        #expect(error?.output.contains("alert protocol version") == true)
        try await server.close()
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `ours fetches a page from s_server`(version: String) async throws {
        let server = try OpenSSLServer("-www -alpn http/1.1 \(version)", in: self.directory)
        defer { server.stop() }
        let context = try TLSContext.client(
            verification: .certificateAuthorities(file: self.authority, serverName: "127.0.0.1"))
        let group = MultiThreadedEventLoopGroup.singleton
        let page = group.next().makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        TLSHandler(context: context), Collector(promise: page),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: server.port).get()
        // Written before the handshake is over.
        try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.0\r\n\r\n"))
        let text = try await page.futureResult.get()
        #expect(text.hasPrefix("HTTP/1.0 200 ok"))
        #expect(text.contains(version == "-tls1_2" ? "TLSv1.2" : "TLSv1.3"))
    }

    /// With its overhead, which depends on the suite: explicit nonce (none with ChaCha20, RFC 7905 §2) and tag.
    @Test(arguments: [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", 13 + 8 + 16),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", 13 + 8 + 16),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", 13 + 16),
    ])
    func `datagrams go to and from s_server in every cipher suite`(suite: String, overhead: Int) throws {
        let server = try OpenSSLServer("-dtls1_2 -Verify 1 -cipher \(suite)", in: self.directory)
        defer { server.stop() }
        let socket = try UDPSocket(connectedTo: server.port)
        let connection = try DTLSConnection(
            DTLSConfiguration(
                role: .client, identity: Identity.selfSigned(commonName: "client"),
                peerFingerprint: self.identity.leafFingerprint))
        connection.start(at: .now())
        var plaintext = ByteBuffer()
        while plaintext.readableBytes == 0 {
            while let datagram = connection.nextTransmit() { socket.send(datagram) }
            guard let datagram = socket.receive() else {
                connection.handleTimeout(at: .now())
                continue
            }
            connection.receive(datagram, at: .now())
            while connection.readPayload(into: &plaintext) != nil {}
            switch connection.nextEvent() {
            case .handshakeCompleted:
                #expect(connection.cipherSuite == suite)
                #expect(connection.recordOverhead == overhead)
                #expect(connection.maximumPayload == 1452 - overhead)
                let record = try connection.seal(ByteBuffer(string: "hello\n"))
                #expect(record.readableBytes == 6 + overhead)
                socket.send(record)
                try server.waitForOutput(/hello\n/)
                try server.type("good day\n")
            case .closed, .failed:
                Issue.record("the connection has ended")
                return
            case nil:
                break
            }
        }
        #expect(String(buffer: plaintext) == "good day\n")
        connection.close()
        if let goodbye = connection.nextTransmit() { socket.send(goodbye) }
    }

    /// Runs a command, feeds it `input`, and returns what it printed once that is `count` bytes or it ended.
    private func run(_ command: String, input: String, until count: Int) async throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command.split(separator: " ").map(String.init)
        let (stdin, stdout) = (Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = FileHandle.nullDevice
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        var output = Data()
        while output.count < count {
            let bytes = stdout.fileHandleForReading.availableData
            if bytes.isEmpty { break }
            output += bytes
        }
        try stdin.fileHandleForWriting.close()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}

/// `openssl s_server` on a free port, with `cert.pem` and `key.pem` of a directory.
private final class OpenSSLServer {
    let port: Int
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ options: String, in directory: TestFolder) throws {
        let command = "openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem \(options)"
        self.process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        self.process.arguments = command.split(separator: " ").map(String.init)
        self.process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
        self.process.standardInput = self.input
        self.process.standardOutput = self.output
        self.process.standardError = FileHandle.nullDevice
        try self.process.run()
        let announcement = try Self.read(from: self.output, until: /ACCEPT .*:([0-9]+)\n/)
        self.port = try #require(Int(announcement.output.1))
    }

    /// Types a line, which the server sends to its client.
    func type(_ line: String) throws {
        try self.input.fileHandleForWriting.write(contentsOf: Data(line.utf8))
    }

    /// Waits until the server has printed something, for example what its client sent.
    func waitForOutput(_ pattern: Regex<Substring>) throws {
        _ = try Self.read(from: self.output, until: pattern)
    }

    private static func read<Output>(from pipe: Pipe, until pattern: Regex<Output>) throws -> Regex<Output>.Match {
        var text = ""
        while true {
            let bytes = pipe.fileHandleForReading.availableData
            try #require(!bytes.isEmpty, "s_server has ended after printing \(text)")
            text += String(decoding: bytes, as: UTF8.self)
            if let match = text.firstMatch(of: pattern) { return match }
        }
    }

    func stop() {
        // Not terminate(): children inherit this thread's signal mask, which blocks SIGTERM.
        kill(self.process.processIdentifier, SIGKILL)
        self.process.waitUntilExit()
    }
}

/// A UDP socket connected to a port on loopback.
private final class UDPSocket {
    private let descriptor: Int32

    init(connectedTo port: Int) throws {
        self.descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var patience = timeval(tv_sec: 0, tv_usec: 100_000)
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
        let status = address.withSockAddr { connect(self.descriptor, $0, socklen_t($1)) }
        try #require(status == 0)
    }

    deinit {
        close(self.descriptor)
    }

    func send(_ datagram: ByteBuffer) {
        _ = datagram.withUnsafeReadableBytes { Foundation.send(self.descriptor, $0.baseAddress, $0.count, 0) }
    }

    /// The next datagram, nil if none comes for a while.
    func receive() -> ByteBuffer? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(self.descriptor, &bytes, bytes.count, 0)
        return count > 0 ? ByteBuffer(bytes: bytes[..<count]) : nil
    }
}

private final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// Collects all that is received until the end.
private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<String>
    private var text = ""

    init(promise: EventLoopPromise<String>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.text += String(buffer: self.unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.promise.succeed(self.text)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.promise.fail(error)
    }
}
