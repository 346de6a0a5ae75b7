import AppProto
import NIOCore
import Testing

@testable import PeerChannel

@Suite struct STUNServerAddressTests {
    @Test func `the server's addresses come first, then what it announces, each once`() throws {
        typealias Place = PeerChannelConfiguration.STUNServerAddress
        let announced = [
            StunServer(port: 3478), StunServer(address: [203, 0, 113, 11], port: 8888), StunServer(port: 8888),
            StunServer(address: [1, 2, 3], port: 9),
        ]
        let reached = try SocketAddress(ipAddress: "203.0.113.10", port: 8888)
        #expect(
            Place.servers(reachedAt: reached, announced: announced) == [
                Place(host: "203.0.113.10", port: 8888), Place(host: "203.0.113.10", port: 3478),
                Place(host: "203.0.113.11", port: 8888),
            ])
        #expect(Place.servers(reachedAt: nil, announced: announced) == [Place(host: "203.0.113.11", port: 8888)])
    }
}
