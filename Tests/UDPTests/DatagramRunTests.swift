import NIOCore
import Testing

@testable import UDP

@Suite struct DatagramRunTests {
    /// The calls that sending `lengths` takes: bytes and segment size of each.
    private func calls(for lengths: [Int]) -> [[Int?]] {
        var run = DatagramRun()
        var calls: [[Int?]] = []
        for length in lengths {
            if !run.accepts(length) { run.send { calls.append([$0.readableBytes, $1]) } }
            run.append(ByteBuffer(repeating: 1, count: length))
        }
        run.send { calls.append([$0.readableBytes, $1]) }
        run.send { _, _ in Issue.record("nothing was left") }
        return calls
    }

    @Test(
        arguments: [
            ([], []),
            ([10], [[10, nil]]),
            ([10, 10, 10], [[30, 10]]),
            ([10, 10, 4], [[24, 10]]),
            // A shorter one ends the run, a longer one begins the next.
            ([10, 4, 4], [[14, 10], [4, nil]]),
            ([10, 11], [[10, nil], [11, nil]]),
            // An empty datagram has no segments.
            ([0], [[0, nil]]),
            ([0, 0, 5, 0], [[0, nil], [0, nil], [5, nil], [0, nil]]),
        ] as [([Int], [[Int?]])])
    func `datagrams of one size share a call`(lengths: [Int], calls: [[Int?]]) {
        #expect(self.calls(for: lengths) == calls)
    }

    @Test func `a run is no longer than the kernel accepts`() {
        #expect(self.calls(for: Array(repeating: 10, count: 65)) == [[640, 10], [10, nil]])
        let large = self.calls(for: Array(repeating: 1452, count: 50))
        #expect(large.compactMap { $0[0] } == [44 * 1452, 6 * 1452])
    }

    @Test func `a datagram that could not be written is left out`() {
        var run = DatagramRun()
        run.append(length: 5) { _ in false }
        #expect(run.count == 0)
        run.append(ByteBuffer(string: "abc"))
        run.send { bytes, segmentSize in
            #expect(String(buffer: bytes) == "abc")
            #expect(segmentSize == nil)
        }
    }

    @Test func `coalesced datagrams are taken apart, an empty one is one`() {
        #expect(
            Array(DatagramSegments(ByteBuffer(string: "aabbc"), size: 2)).map { String(buffer: $0) } == [
                "aa", "bb", "c",
            ])
        #expect(Array(DatagramSegments(ByteBuffer(string: "aabbc"), size: nil)).count == 1)
        #expect(Array(DatagramSegments(ByteBuffer(), size: nil)) == [ByteBuffer()])
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `the MTU of loopback is read from the kernel`(address: String) throws {
        let remote = try SocketAddress(ipAddress: address, port: 9)
        let bytes = try #require(RouteMTU.bytes(to: remote, from: try SocketAddress(ipAddress: address, port: 0)))
        #expect(bytes >= 1500)
    }
}
