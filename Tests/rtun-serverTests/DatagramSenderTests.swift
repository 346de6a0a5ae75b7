import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import rtun_server

@Suite struct DatagramSenderTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    private func socket(_ received: EventLoopPromise<ByteBuffer>? = nil) async throws -> any Channel {
        try await DatagramBootstrap(group: self.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramSender())
                    if let received {
                        try channel.pipeline.syncOperations.addHandler(FirstDatagram(received))
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private func send(
        _ count: Int, to address: SocketAddress, segmentSize: Int? = nil, on channel: any Channel
    ) async throws {
        let metadata = segmentSize.map {
            AddressedEnvelope<ByteBuffer>.Metadata(
                ecnState: .transportNotCapable, packetInfo: nil, segmentSize: $0)
        }
        let data = ByteBuffer(repeating: 7, count: count)
        try await channel.writeAndFlush(
            AddressedEnvelope(remoteAddress: address, data: data, metadata: metadata)
        ).get()
    }

    @Test func `a datagram that cannot be sent harms nobody else`() async throws {
        let received = self.group.next().makePromise(of: ByteBuffer.self)
        let receiver = try await self.socket(received)
        let sender = try await self.socket()

        let nowhere = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let error = await #expect(throws: IOError.self) { try await self.send(1, to: nowhere, on: sender) }
        #expect(error?.errnoCode == EINVAL)
        let port = try #require(receiver.localAddress)
        // Longer than UDP has room for; an address of the other family.
        await #expect(throws: IOError.self) { try await self.send(70_000, to: port, on: sender) }
        let other = try SocketAddress(ipAddress: "::1", port: 9)
        await #expect(throws: IOError.self) { try await self.send(1, to: other, on: sender) }

        #expect(sender.isActive)
        try await self.send(5, to: port, on: sender)
        #expect(try await received.futureResult.get().readableBytes == 5)
        try await sender.close()
        try await receiver.close()
    }

    @Test func `segments are sent as datagrams`() async throws {
        let received = self.group.next().makePromise(of: ByteBuffer.self)
        let receiver = try await self.socket(received)
        let sender = try await self.socket()
        try await self.send(2500, to: try #require(receiver.localAddress), segmentSize: 1200, on: sender)
        #expect(try await received.futureResult.get().readableBytes == 1200)
        try await sender.close()
        try await receiver.close()
    }
}
