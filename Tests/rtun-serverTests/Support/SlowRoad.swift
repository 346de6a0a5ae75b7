import NIOCore
import NIOPosix

/// A way to a server on loopback that carries so many bytes a second in each direction, for TCP and UDP on one port.
final class SlowRoad: Sendable {
    private static let tick = TimeAmount.milliseconds(5)
    /// What waits at most in front of the narrow place, for each direction: for UDP more is dropped, for TCP it stays
    /// with the sender.
    private static let queueBytes = 16 * 1024

    let port: Int
    private let channels: [any Channel]

    private init(port: Int, channels: [any Channel]) {
        self.port = port
        self.channels = channels
    }

    static func start(to server: Int, bytesPerSecond: Int) async throws -> SlowRoad {
        // The port that is free for TCP may be somebody's for UDP.
        for _ in 0..<10 {
            if let road = try? await self.open(to: server, bytesPerSecond: bytesPerSecond) { return road }
        }
        return try await self.open(to: server, bytesPerSecond: bytesPerSecond)
    }

    private static func open(to server: Int, bytesPerSecond: Int) async throws -> SlowRoad {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let perTick = bytesPerSecond / Int(TimeAmount.seconds(1).nanoseconds / Self.tick.nanoseconds)
        let tcp = try await ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_rcvbuf), value: Self.queueBytes)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: perTick))
            .childChannelInitializer { near in
                ClientBootstrap(group: loop)
                    .channelOption(.socketOption(.so_rcvbuf), value: Self.queueBytes)
                    .channelOption(.autoRead, value: false)
                    .channelOption(.maxMessagesPerRead, value: 1)
                    .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: perTick))
                    .connect(host: "127.0.0.1", port: server)
                    .flatMapThrowing { far in
                        try near.pipeline.syncOperations.addHandler(Carrier(to: far, bytesPerSecond))
                        try far.pipeline.syncOperations.addHandler(Carrier(to: near, bytesPerSecond))
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = tcp.localAddress?.port ?? 0
        let udp = try await DatagramBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Shaper(server: try SocketAddress(ipAddress: "127.0.0.1", port: server), bytesPerSecond))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        return SlowRoad(port: port, channels: [tcp, udp])
    }

    func stop() {
        for channel in self.channels { channel.close(promise: nil) }
    }

    /// What may pass: grows with time, so that a tick that comes late takes nothing away.
    private struct Allowance {
        private let bytesPerSecond: Int
        private var last = NIODeadline.now()
        private var bytes = 0.0

        init(_ bytesPerSecond: Int) {
            self.bytesPerSecond = bytesPerSecond
        }

        /// Whether something may pass now.
        mutating func isLeft() -> Bool {
            let now = NIODeadline.now()
            self.bytes += Double((now - self.last).nanoseconds) / 1e9 * Double(self.bytesPerSecond)
            self.last = now
            // No more than 100 ms are made up for.
            self.bytes = min(self.bytes, Double(self.bytesPerSecond) / 10)
            return self.bytes > 0
        }

        mutating func take(_ count: Int) { self.bytes -= Double(count) }
    }

    /// Reads as much as may pass, again and again.
    private final class Carrier: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let other: any Channel
        private var allowance: Allowance
        private var timer: RepeatedTask?

        init(to other: any Channel, _ bytesPerSecond: Int) {
            self.other = other
            self.allowance = Allowance(bytesPerSecond)
        }

        func handlerAdded(context: ChannelHandlerContext) {
            let bound = NIOLoopBound((self, context.channel), eventLoop: context.eventLoop)
            self.timer = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: SlowRoad.tick) { _ in
                let (carrier, channel) = bound.value
                if carrier.allowance.isLeft() { channel.read() }
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = self.unwrapInboundIn(data)
            self.allowance.take(bytes.readableBytes)
            self.other.writeAndFlush(bytes, promise: nil)
            if self.allowance.isLeft() { context.read() }
        }

        func channelInactive(context: ChannelHandlerContext) {
            self.timer?.cancel()
            self.other.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    /// Two queues that are emptied at the rate; one client only.
    private final class Shaper: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>
        private struct Line {
            var datagrams = CircularBuffer<ByteBuffer>()
            var bytes = 0
            var allowance: Allowance
        }

        private let server: SocketAddress
        private var client: SocketAddress?
        private var toServer: Line
        private var toClient: Line
        private var timer: RepeatedTask?

        init(server: SocketAddress, _ bytesPerSecond: Int) {
            self.server = server
            self.toServer = Line(allowance: Allowance(bytesPerSecond))
            self.toClient = Line(allowance: Allowance(bytesPerSecond))
        }

        func channelActive(context: ChannelHandlerContext) {
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            self.timer = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: SlowRoad.tick) { _ in
                let (shaper, context) = bound.value
                shaper.send(&shaper.toServer, shaper.server, context)
                if let client = shaper.client { shaper.send(&shaper.toClient, client, context) }
                context.flush()
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            self.timer?.cancel()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = self.unwrapInboundIn(data)
            if envelope.remoteAddress == self.server {
                Self.append(envelope.data, to: &self.toClient)
            } else {
                self.client = envelope.remoteAddress
                Self.append(envelope.data, to: &self.toServer)
            }
        }

        private static func append(_ datagram: ByteBuffer, to line: inout Line) {
            guard line.bytes + datagram.readableBytes <= SlowRoad.queueBytes else { return }
            line.datagrams.append(datagram)
            line.bytes += datagram.readableBytes
        }

        private func send(_ line: inout Line, _ address: SocketAddress, _ context: ChannelHandlerContext) {
            while line.allowance.isLeft(), let datagram = line.datagrams.popFirst() {
                line.bytes -= datagram.readableBytes
                line.allowance.take(datagram.readableBytes)
                context.write(
                    self.wrapOutboundOut(AddressedEnvelope(remoteAddress: address, data: datagram)), promise: nil)
            }
        }
    }
}
