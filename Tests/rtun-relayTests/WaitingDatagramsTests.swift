import NIOCore
import Testing

@testable import rtun_relay

@Suite struct WaitingDatagramsTests {
    private let start = NIODeadline.uptimeNanoseconds(5_000_000_000)

    private func datagram(_ number: Int, bytes: Int = 4, after seconds: Int64 = 0) throws -> WaitingDatagrams.Datagram {
        WaitingDatagrams.Datagram(
            source: LocalSender(address: try SocketAddress(ipAddress: "127.0.0.1", port: 1000 + number), askedAt: nil),
            payload: ByteBuffer(repeating: 0, count: bytes), arrival: self.start + .seconds(seconds))
    }

    @Test func `the newest 256 datagrams stay, in order`() throws {
        var waiting = WaitingDatagrams()
        var dropped = 0
        for number in 0..<300 { dropped += waiting.append(try self.datagram(number)) }
        #expect(dropped == 44)
        #expect(waiting.count == 256)
        #expect(waiting.popFirst()?.source.address.port == 1044)
        #expect(waiting.popFirst()?.source.address.port == 1045)
    }

    @Test func `no more than 1 MiB stays`() throws {
        var waiting = WaitingDatagrams()
        var dropped = 0
        for number in 0..<20 { dropped += waiting.append(try self.datagram(number, bytes: 60_000)) }
        #expect(dropped == 3)
        #expect(waiting.count == 17)
    }

    @Test func `datagrams that have waited for more than ten seconds are dropped`() throws {
        var waiting = WaitingDatagrams()
        #expect(waiting.nextDeadline == nil)
        _ = waiting.append(try self.datagram(1))
        _ = waiting.append(try self.datagram(2, after: 4))
        #expect(waiting.removeStale(at: self.start + .seconds(10)) == 0)
        let deadline = try #require(waiting.nextDeadline)
        #expect(waiting.removeStale(at: deadline) == 1)
        #expect(waiting.popFirst()?.source.address.port == 1002)
        #expect(waiting.popFirst() == nil)
    }
}
