import LibC
import NIOCore
import Testing

@testable import UDP

@Suite(.timeLimit(.minutes(1))) struct VectorReadTests {
    /// Two sockets on loopback that talk to each other only.
    private func pair() throws -> (near: CInt, far: CInt) {
        let any = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let (near, far) = (DatagramKernel.open(.inet, isBlocking: false), DatagramKernel.open(.inet))
        try #require(near >= 0 && far >= 0)
        for descriptor in [near, far] {
            try #require(any.withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0)
        }
        for (descriptor, other) in [(near, far), (far, near)] {
            let address = try #require(SocketAddress(localAddressOf: other))
            try #require(address.withSockAddr { connect(descriptor, $0, socklen_t($1)) } == 0)
        }
        return (near, far)
    }

    private func isReadable(_ descriptor: CInt) -> Bool {
        var descriptor = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 10_000) == 1
    }

    @Test func `datagrams come one a slot, then nothing, then what the network reports`() throws {
        let (near, far) = try self.pair()
        for length in [3, 0, 5, 9] {
            let bytes = [UInt8](repeating: UInt8(length), count: length)
            #expect(send(far, bytes, length, 0) == length)
        }
        #expect(self.isReadable(near))
        var buffer = ReceiveBuffer(ReceiveBuffer.Shape(count: 3, slot: 8))
        var lengths: [Int] = []
        func read() -> ReceiveBuffer.Outcome {
            buffer.read(from: near) { bytes, segmentSize in
                #expect(segmentSize == nil)
                lengths.append(bytes.readableBytes)
            }
        }
        #expect(read().count == 3)
        // Cut to its slot.
        #expect(read().count == 1)
        #expect(lengths == [3, 0, 5, 8])
        let nothing = read()
        #expect(nothing.count == 0 && nothing.error == nil)
        closeDescriptor(far)
        #expect(send(near, [1], 1, 0) == 1)
        #expect(self.isReadable(near))
        let report = read()
        #expect(report.count == 0 && report.error == ECONNREFUSED)
        #expect(DatagramKernel.isReport(ECONNREFUSED))
        closeDescriptor(near)
    }

    @Test func `a buffer may have any size`() {
        for size in [0, 1, 1 << 16, 8 << 20, 1 << 30] {
            let acceptable = DatagramKernel.acceptableBufferSize(size)
            #expect(acceptable <= size)
            #expect(acceptable > 0 || size == 0)
        }
    }
}
