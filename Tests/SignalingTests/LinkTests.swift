import AppProto
import NIOCore
import NIOPosix
import TLS
import Testing

@testable import Signaling

/// What every transport must do alike, over loopback.
@Suite(.timeLimit(.minutes(1))) struct LinkTests {
    /// Both ends of one link, and what keeps them going.
    private struct Pair {
        let server: LoopbackServer
        let near: LinkProbe
        let far: LinkProbe
    }

    static let schemes = ServerURL.Scheme.allCases

    static func connector(_ url: ServerURL, role: Role = .client) throws -> any SignalConnector & Sendable {
        switch url.scheme {
        case .quic:
            QUICConnector(url: url, verification: .insecure, congestionControl: .bbr)
        case .http, .https:
            WebSocketConnector(
                url: url, path: url.webSocketPath(for: role), software: "test/1",
                tlsContext: url.scheme == .https ? try TLSContext.client(verification: .insecure) : nil,
                certificateName: url.host)
        }
    }

    /// Runs the connector once.
    static func connect(_ connector: any SignalConnector & Sendable) async -> Result<LinkProbe, SignalConnectError> {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        return await withCheckedContinuation { continuation in
            eventLoop.execute {
                connector.connect(on: eventLoop) { result in
                    continuation.resume(returning: result.map { LinkProbe($0) })
                }
            }
        }
    }

    private func pair(_ scheme: ServerURL.Scheme, datagrams: Bool = true) async throws -> Pair {
        let (links, continuation) = AsyncStream.makeStream(of: LinkProbe.self)
        let server = try await LoopbackServer.start(
            scheme, identity: scheme == .http ? nil : .selfSigned(commonName: "localhost"), datagrams: datagrams
        ) { link in
            continuation.yield(LinkProbe(link))
        }
        let near = try await Self.connect(Self.connector(server.url)).get()
        for await far in links {
            return Pair(server: server, near: near, far: far)
        }
        throw CancellationError()
    }

    @Test(arguments: schemes) func `messages of every size come through whole and in order`(
        scheme: ServerURL.Scheme
    ) async throws {
        let pair = try await self.pair(scheme)
        let sizes = [1, 125, 126, 4_096, 65_535, 65_536, SignalLinkLimits.maximumMessageSize]
        for size in sizes {
            pair.near.send(ByteBuffer(repeating: UInt8(size & 0xff), count: size))
        }
        for size in sizes {
            #expect(await pair.far.next() == .message(ByteBuffer(repeating: UInt8(size & 0xff), count: size)))
            pair.far.send(ByteBuffer(repeating: 1, count: size))
            #expect(await pair.near.next() == .message(ByteBuffer(repeating: 1, count: size)))
        }
        try await pair.server.stop()
    }

    @Test(arguments: schemes) func `both ends know addresses and the same binding`(
        scheme: ServerURL.Scheme
    ) async throws {
        let pair = try await self.pair(scheme)
        let near = try await pair.near.read { ($0.remoteAddress, $0.localAddress, $0.channelBinding) }
        let far = try await pair.far.read { ($0.remoteAddress, $0.channelBinding) }
        #expect(near.0?.port == Int(pair.server.url.port))
        #expect(near.0?.isLoopback == true)
        #expect(near.1?.port != nil && near.1?.port == far.0?.port)
        #expect(near.2 == far.1)
        #expect(near.2?.count == (scheme == .http ? nil : 32))
        try await pair.server.stop()
    }

    @Test(arguments: schemes) func `what was sent before a close arrives, and the close is in order`(
        scheme: ServerURL.Scheme
    ) async throws {
        let pair = try await self.pair(scheme)
        pair.far.send(ByteBuffer(string: "farewell"))
        let start = NIODeadline.now()
        try await pair.far.closeAndWait()
        #expect(NIODeadline.now() - start < SignalLinkLimits.closeTimeout, "the other side's answer ends it")
        // One that is over already.
        try await pair.far.closeAndWait()
        #expect(await pair.near.next() == .message(ByteBuffer(string: "farewell")))
        #expect(await pair.near.next() == .closed(nil))
        try await pair.server.stop()
    }

    @Test(arguments: schemes) func `datagrams arrive too, even large ones`(
        scheme: ServerURL.Scheme
    ) async throws {
        let pair = try await self.pair(scheme)
        for size in [1, 100, 1000, 9000, 60_000] {
            let message = ByteBuffer(repeating: UInt8(size & 0xff), count: size)
            for (from, to) in [(pair.near, pair.far), (pair.far, pair.near)] {
                try await from.read { link in
                    #expect(link.hasRoom)
                    link.sendUnreliably(message)
                    link.flush()
                }
                switch await to.next() {
                case .message(message): #expect(scheme != .quic || size > 1000, "over the stream: \(size)")
                case .unreliable(message): #expect(scheme == .quic)
                case let other: Issue.record("\(size): \(String(describing: other))")
                }
            }
        }
        try await pair.server.stop()
    }

    @Test func `a QUIC peer that takes no datagrams gets them over the stream`() async throws {
        let pair = try await self.pair(.quic, datagrams: false)
        let message = ByteBuffer(repeating: 1, count: 100)
        try await pair.near.read { link in
            #expect(link.preferredUnreliableSize == SignalLinkLimits.roomMarks.high)
            link.sendUnreliably(message)
            link.flush()
        }
        #expect(await pair.far.next() == .message(message))
        try await pair.server.stop()
    }

    @Test(arguments: schemes) func `a link without room says so, keeps its messages, and tells when there is room`(
        scheme: ServerURL.Scheme
    ) async throws {
        let pair = try await self.pair(scheme)
        let message = ByteBuffer(repeating: 1, count: 1000)
        // In one turn of the loop nothing leaves over QUIC; over TCP the kernel takes some.
        let sent = try await pair.near.read { link in
            var count = 0
            while link.hasRoom, count < 1_000_000 {
                link.sendUnreliably(message)
                count += 1
            }
            link.send(ByteBuffer(string: "last"))
            return count
        }
        // However fast the other end reads.
        #expect(sent < 1_000_000)
        while true {
            guard let event = await pair.far.next() else { return }
            if event == .message(ByteBuffer(string: "last")) { break }
            guard event == .message(message) || event == .unreliable(message) else {
                Issue.record("\(event)")
                return
            }
        }
        while try await pair.near.link.eventLoop.submit({ pair.near.becameWritable.value }).get() == 0 {
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(try await pair.near.read { $0.hasRoom })
        try await pair.server.stop()
    }

    @Test(arguments: schemes) func `datagrams to a peer that does not read do not close the link`(
        scheme: ServerURL.Scheme
    ) async throws {
        let server = try await LoopbackServer.start(
            scheme, identity: scheme == .http ? nil : .selfSigned(commonName: "localhost"), neverReads: true
        ) { _ in }
        let near = try await Self.connect(Self.connector(server.url)).get()
        let message = ByteBuffer(repeating: 0, count: 60_000)
        for _ in 0..<100 {
            for _ in 0..<20 {
                try await near.read { link in
                    link.sendUnreliably(message)
                    link.flush()
                }
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        // A closed link has nothing pending.
        let pending = try await near.read { link in
            link.send(ByteBuffer(string: "still there"))
            return link.pendingBytes
        }
        #expect(0 < pending && pending < 200_000)
        try await server.stop()
    }

    @Test(arguments: schemes) func `a server that dies is noticed`(scheme: ServerURL.Scheme) async throws {
        let pair = try await self.pair(scheme)
        guard scheme != .quic else {
            // UDP has no word for it; the silence is noticed above.
            return try await pair.server.stop()
        }
        try await pair.server.stop()
        guard case .closed(.some) = await pair.near.next() else {
            Issue.record("in order")
            return
        }
    }

    @Test(arguments: schemes) func `a peer that does not read is closed`(scheme: ServerURL.Scheme) async throws {
        let server = try await LoopbackServer.start(
            scheme, identity: scheme == .http ? nil : .selfSigned(commonName: "localhost"), neverReads: true
        ) { _ in }
        let near = try await Self.connect(Self.connector(server.url)).get()
        let message = ByteBuffer(repeating: 0, count: SignalLinkLimits.maximumMessageSize)
        for _ in 0..<128 { near.send(message) }
        guard case .closed(let reason?) = await near.next() else {
            Issue.record("not closed, or in order")
            return
        }
        #expect(reason.contains("does not read"))
        try await server.stop()
    }

    @Test(arguments: schemes) func `links come and go without leaving anything behind`(
        scheme: ServerURL.Scheme
    ) async throws {
        for _ in 0..<5 {
            let pair = try await self.pair(scheme)
            pair.near.send(ByteBuffer(string: "x"))
            #expect(await pair.far.next() == .message(ByteBuffer(string: "x")))
            pair.near.close()
            #expect(await pair.far.next() == .closed(nil))
            try await pair.server.stop()
        }
    }
}
