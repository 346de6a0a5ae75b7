import Basics
import NIOCore
import Testing

@Suite struct FairPlacesTests {
    @Test func `a source that has its share loses its own oldest`() {
        var places = FairPlaces<Int, String>(limit: 100, share: 2)
        let evicted = [(1, "a"), (2, "a"), (3, "b"), (4, "a")].map { places.add($0.0, from: $0.1) }
        #expect(evicted == [nil, nil, nil, 1])
        #expect(places.count == 3)
    }

    @Test func `when there are no more places, the largest source loses one, and a place that is free is used`() {
        var places = FairPlaces<Int, String>(limit: 3, share: 3)
        let evicted = [(1, "a"), (2, "a"), (3, "b"), (4, "c")].map { places.add($0.0, from: $0.1) }
        #expect(evicted == [nil, nil, nil, 1])
        places.remove(3)
        places.remove(3)
        let none = places.add(5, from: "d")
        #expect(none == nil)
        #expect(places.count == 3)
    }

    @Test func `no share is kept for those of unknown source`() {
        var places = FairPlaces<Int, String>(limit: 10, share: 1)
        let evicted = (0..<12).map { places.add($0, from: $0 < 11 ? nil : "a") }
        #expect(evicted == [Int?](repeating: nil, count: 10) + [0, 1])
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false), ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8::1", "2001:db8::ffff:1", true), ("2001:db8::1", "2001:db8:0:1::1", false),
    ])
    func `a network is one IPv4 address or an IPv6 prefix of 64 bits`(left: String, right: String, isOne: Bool) throws {
        let networks = try [left, right].map { SourceNetwork(try SocketAddress(ipAddress: $0, port: 1)) }
        #expect((networks[0] == networks[1]) == isOne)
    }
}
