import LibC
import NIOCore
import NIOPosix
import Testing

@testable import UDP

@Suite(.timeLimit(.minutes(1)))
struct ConnectedUDPSocketTests {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// Keeps what arrives, and says when the expected number is there.
    private final class Receiver: ConnectedUDPSocketDelegate {
        var payloads: [ByteBuffer] = []
        var batches = 0
        private let expected: Int
        let complete: EventLoopPromise<Void>

        init(expected: Int, eventLoop: any EventLoop) {
            self.expected = expected
            self.complete = eventLoop.makePromise()
        }

        func socket(_ socket: ConnectedUDPSocket, received payload: ByteBuffer, segmentSize: Int?) {
            self.payloads.append(ByteBuffer(bytes: payload.readableBytesView))
            if self.payloads.count == self.expected { self.complete.succeed() }
        }

        func socketReceiveComplete(_ socket: ConnectedUDPSocket) { self.batches += 1 }
    }

    /// A socket on loopback that sends back what it gets.
    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(data, promise: nil)
        }
    }

    private func echo(host: String = "127.0.0.1", port: Int = 0) async throws -> any Channel {
        try await DatagramBootstrap(group: self.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Echo()) }
            }
            .bind(host: host, port: port).get()
    }

    @Test func `datagrams of all sizes come back, each whole, singly and in runs`() async throws {
        let echo = try await self.echo()
        let remote = try #require(echo.localAddress)
        let poller = try UDPPoller.shared(by: self.eventLoop)
        let lengths = [0, 1, 1200, 1200, 1200, 400, 2000]
        let state = try await self.eventLoop.submit {
            let socket = try ConnectedUDPSocket(to: remote, poller: poller)
            let receiver = Receiver(expected: lengths.count, eventLoop: self.eventLoop)
            socket.delegate = receiver
            var run = DatagramRun()
            for (index, length) in lengths.enumerated() {
                if !run.accepts(length) { run.send { #expect(socket.send($0, segmentSize: $1) == 0) } }
                run.append(ByteBuffer(repeating: UInt8(index), count: length))
            }
            run.send { #expect(socket.send($0, segmentSize: $1) == 0) }
            return NIOLoopBound((socket, receiver), eventLoop: self.eventLoop)
        }.get()
        try await self.eventLoop.flatSubmit { state.value.1.complete.futureResult }.get()
        try await self.eventLoop.submit {
            let (socket, receiver) = state.value
            #expect(receiver.payloads.map(\.readableBytes) == lengths)
            #expect(receiver.batches >= 1)
            #expect(socket.reportedErrors == 0)
            #expect(socket.localAddress?.port != nil)
            socket.close()
            #expect(socket.send(ByteBuffer(string: "late"), segmentSize: nil) == 1)
        }.get()
        try await echo.close()
    }

    @Test func `errors of a port without a listener are counted, and it works once there is one`() async throws {
        // An address of its own: nobody else gets the port in between.
        let free = try await self.echo(host: "127.0.0.77")
        let remote = try #require(free.localAddress)
        try await free.close()
        let poller = try UDPPoller.shared(by: self.eventLoop)
        let state = try await self.eventLoop.submit {
            let socket = try ConnectedUDPSocket(to: remote, poller: poller)
            let receiver = Receiver(expected: 1, eventLoop: self.eventLoop)
            socket.delegate = receiver
            for _ in 0..<5 { #expect(socket.send(ByteBuffer(string: "anybody?"), segmentSize: nil) == 0) }
            return NIOLoopBound((socket, receiver), eventLoop: self.eventLoop)
        }.get()
        while try await self.eventLoop.submit({ state.value.0.reportedErrors == 0 }).get() {
            await Task.yield()
        }
        let echo = try await self.echo(host: "127.0.0.77", port: remote.port ?? 0)
        try await self.eventLoop.flatSubmit {
            _ = state.value.0.send(ByteBuffer(string: "now?"), segmentSize: nil)
            return state.value.1.complete.futureResult
        }.get()
        try await self.eventLoop.submit {
            #expect(state.value.1.payloads == [ByteBuffer(string: "now?")])
            state.value.0.close()
        }.get()
        try await echo.close()
    }

    @Test func `a socket that always has data does not keep other channels of the event loop waiting`() async throws {
        let flooder = try await self.echo()
        let echo = try await self.echo()
        let (flooded, remote) = (try #require(flooder.localAddress), try #require(echo.localAddress))
        let poller = try UDPPoller.shared(by: self.eventLoop)
        /// Sends two datagrams for each that it gets: the more it reads, the more there is to read.
        final class Multiplier: ConnectedUDPSocketDelegate {
            var count = 0
            func socket(_ socket: ConnectedUDPSocket, received payload: ByteBuffer, segmentSize: Int?) {
                self.count += 1
                for _ in 0..<2 { _ = socket.send(payload, segmentSize: nil) }
            }
            func socketReceiveComplete(_ socket: ConnectedUDPSocket) {}
        }
        let state = try await self.eventLoop.submit {
            let socket = try ConnectedUDPSocket(to: flooded, poller: poller)
            let multiplier = Multiplier()
            socket.delegate = multiplier
            for _ in 0..<100 { _ = socket.send(ByteBuffer(repeating: 1, count: 100), segmentSize: nil) }
            return NIOLoopBound((socket, multiplier), eventLoop: self.eventLoop)
        }.get()
        // The echo service below is an ordinary channel of the same event loop.
        for _ in 0..<20 {
            let pair = try await self.eventLoop.submit {
                let socket = try ConnectedUDPSocket(to: remote, poller: poller)
                let receiver = Receiver(expected: 1, eventLoop: self.eventLoop)
                socket.delegate = receiver
                #expect(socket.send(ByteBuffer(string: "anybody?"), segmentSize: nil) == 0)
                return NIOLoopBound((socket, receiver), eventLoop: self.eventLoop)
            }.get()
            try await self.eventLoop.flatSubmit { pair.value.1.complete.futureResult }.get()
            try await self.eventLoop.submit { pair.value.0.close() }.get()
        }
        try await self.eventLoop.submit {
            #expect(state.value.1.count > 100)
            state.value.0.close()
        }.get()
        try await flooder.close()
        try await echo.close()
    }

    @Test func `the port of a closed socket is free again`() async throws {
        let echo = try await self.echo()
        let remote = try #require(echo.localAddress)
        let poller = try UDPPoller.shared(by: self.eventLoop)
        let local = try await self.eventLoop.submit {
            let socket = try ConnectedUDPSocket(to: remote, poller: poller)
            defer { socket.close() }
            return try #require(socket.localAddress)
        }.get()
        // The thread that waits for sockets may have to let go of it first.
        while true {
            let descriptor = DatagramKernel.open(.inet)
            defer { closeDescriptor(descriptor) }
            if local.withSockAddr({ bind(descriptor, $0, socklen_t($1)) }) == 0 { break }
            try #require(errno == EADDRINUSE)
            await Task.yield()
        }
        try await echo.close()
    }

    @Test func `an unreachable destination is an error at once`() async throws {
        let poller = try UDPPoller.shared(by: self.eventLoop)
        try await self.eventLoop.submit {
            // A link-local address that does not say of which link: EINVAL.
            _ = #expect(throws: IOError.self) {
                try ConnectedUDPSocket(to: try SocketAddress(ipAddress: "fe80::1", port: 9), poller: poller)
            }
        }.get()
    }

    @Test(arguments: ["127.255.255.255", "224.0.0.251"])
    func `whole networks and groups can be sent to`(address: String) async throws {
        let poller = try UDPPoller.shared(by: self.eventLoop)
        try await self.eventLoop.submit {
            let socket = try ConnectedUDPSocket(to: try SocketAddress(ipAddress: address, port: 9), poller: poller)
            socket.close()
        }.get()
    }
}
