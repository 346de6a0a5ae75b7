import NIOCore
import NIOPosix
import Testing

@testable import UDP

@Suite(.timeLimit(.minutes(1)))
struct UDPSocketTests {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// Counts bytes and datagrams, and says when the expected number has arrived.
    private final class Receiver: UDPSocketDelegate {
        var datagrams: [ByteBuffer] = []
        let expected: Int
        let complete: EventLoopPromise<Void>
        var failures = 0

        init(expected: Int, eventLoop: any EventLoop) {
            self.expected = expected
            self.complete = eventLoop.makePromise()
        }

        func socket(
            _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
            at local: SocketAddress?
        ) {
            self.datagrams += DatagramSegments(bytes, size: segmentSize)
            if self.datagrams.count == self.expected { self.complete.succeed() }
        }
        func socketReceiveComplete(_ socket: UDPSocket) {}
        func socketWritabilityChanged(_ socket: UDPSocket) {}
        func socketFailed(_ socket: UDPSocket, error: (any Error)?) { self.failures += 1 }
    }

    private struct Pair {
        let sender: UDPSocket
        let receiver: UDPSocket
        let sink: Receiver
    }

    private func pair(_ address: String, expecting count: Int) async throws -> NIOLoopBound<Pair> {
        let any = try SocketAddress(ipAddress: address, port: 0)
        let sender = try await self.bind(to: any)
        let receiver = try await self.bind(to: any)
        return try await self.eventLoop.submit {
            let sink = Receiver(expected: count, eventLoop: self.eventLoop)
            receiver.value.delegate = sink
            sender.value.delegate = sink
            return NIOLoopBound(
                Pair(sender: sender.value, receiver: receiver.value, sink: sink), eventLoop: self.eventLoop)
        }.get()
    }

    private func bind(to address: SocketAddress) async throws -> NIOLoopBound<UDPSocket> {
        try await self.eventLoop.flatSubmit { UDPSocket.bind(to: address, eventLoop: self.eventLoop) }.get()
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func `a batch arrives as the datagrams that it is made of`(address: String) async throws {
        // More segments than one system call takes, and a shorter one at the end.
        let size = 300
        let count = 150
        let pair = try await self.pair(address, expecting: count)
        let done = try await self.eventLoop.submit {
            var batch = ByteBuffer()
            for index in 0..<count {
                batch.writeRepeatingByte(UInt8(index), count: index == count - 1 ? 17 : size)
            }
            let pair = pair.value
            #expect(pair.sender.send(batch, segmentSize: size, to: pair.receiver.localAddress) == .sent)
            return pair.sink.complete.futureResult
        }.get()
        try await done.get()
        try await self.eventLoop.submit {
            for (index, datagram) in pair.value.sink.datagrams.enumerated() {
                #expect(datagram.readableBytes == (index == count - 1 ? 17 : size))
                #expect(datagram.readableBytesView.allSatisfy { $0 == UInt8(index) })
            }
            pair.value.sender.close()
            pair.value.receiver.close()
        }.get()
    }

    @Test func `a destination that the kernel refuses does not cost the socket`() async throws {
        let pair = try await self.pair("127.0.0.1", expecting: 1)
        let done = try await self.eventLoop.submit {
            let pair = pair.value
            let datagram = ByteBuffer(string: "hello")
            // EACCES, EINVAL, ENETUNREACH or EAFNOSUPPORT, EMSGSIZE: each would have closed NIO's channel but the last.
            for (ip, port) in [("255.255.255.255", 9), ("127.0.0.1", 0), ("203.0.113.1", 9), ("2001:db8::1", 9)] {
                _ = pair.sender.send(datagram, segmentSize: nil, to: try SocketAddress(ipAddress: ip, port: port))
            }
            let giant = ByteBuffer(repeating: 0, count: 70_000)
            guard case .refused = pair.sender.send(giant, segmentSize: nil, to: pair.receiver.localAddress) else {
                Issue.record("70 000 bytes are no datagram")
                return pair.sink.complete.futureResult
            }
            #expect(pair.sender.send(datagram, segmentSize: nil, to: pair.receiver.localAddress) == .sent)
            return pair.sink.complete.futureResult
        }.get()
        try await done.get()
        try await self.eventLoop.submit {
            #expect(pair.value.sink.failures == 0)
            #expect(pair.value.sender.channel.isActive)
            pair.value.sender.close()
            pair.value.receiver.close()
            guard
                case .refused = pair.value.sender.send(
                    ByteBuffer(string: "late"), segmentSize: nil, to: pair.value.receiver.localAddress)
            else {
                Issue.record("a closed socket sends nothing")
                return
            }
        }.get()
    }
}
