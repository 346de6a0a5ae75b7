import NIOCore
import Testing

@testable import STUN

@Suite struct `STUN server` {
    let id = TransactionID(high: 1, low: 2)

    @Test(arguments: [
        ("192.0.2.7", 40000, "192.0.2.7:40000", 32),
        ("2001:db8::7", 1, "[2001:db8::7]:1", 44),
        // What a dual-stack socket shows for an IPv4 peer.
        ("::ffff:192.0.2.7", 40000, "192.0.2.7:40000", 32),
    ])
    func `a Binding request learns its source address`(ip: String, port: Int, expected: String, size: Int) throws {
        let source = try SocketAddress(ipAddress: ip, port: port)
        let request = STUNMessage(.request, id: self.id, attributes: [.software("x")])
        let answer = try #require(STUNServer.respond(to: request.encoded(), from: source))
        #expect(answer.readableBytes == size)
        let received = try ReceivedSTUNMessage(decoding: answer)
        #expect(received.message.messageClass == .success)
        #expect(received.message.id == self.id)
        #expect(received.message.mappedAddress?.description == expected)
        #expect(!received.hasFingerprint)
    }

    @Test func `a fingerprint is answered with a fingerprint`() throws {
        let source = try SocketAddress(ipAddress: "192.0.2.7", port: 4)
        let answer = try #require(
            STUNServer.respond(to: STUNMessage(.request, id: self.id).encoded(fingerprint: true), from: source))
        #expect(try ReceivedSTUNMessage(decoding: answer).hasFingerprint)
    }

    @Test func `an attribute that must be understood but is not gets 420`() throws {
        let source = try SocketAddress(ipAddress: "192.0.2.7", port: 4)
        let request = STUNMessage(.request, id: self.id, attributes: [.other(type: 0x7ABC, value: [1])])
        let answer = try #require(STUNServer.respond(to: request.encoded(), from: source))
        let received = try ReceivedSTUNMessage(decoding: answer)
        #expect(received.message.errorCode?.code == 420)
        #expect(received.message.attributes.contains(.unknownAttributes([0x7ABC])))
    }

    @Test(arguments: [
        STUNMessage(.indication, id: TransactionID(high: 1, low: 2)),
        STUNMessage(.success, id: TransactionID(high: 1, low: 2)),
        STUNMessage(.failure, id: TransactionID(high: 1, low: 2)),
        STUNMessage(.request, method: .init(rawValue: 3), id: TransactionID(high: 1, low: 2)),
    ])
    func `anything but a Binding request is not answered`(message: STUNMessage) throws {
        let source = try SocketAddress(ipAddress: "192.0.2.7", port: 4)
        #expect(STUNServer.respond(to: message.encoded(), from: source) == nil)
    }

    @Test func `garbage is not answered`() throws {
        let source = try SocketAddress(ipAddress: "192.0.2.7", port: 4)
        #expect(STUNServer.respond(to: ByteBuffer(), from: source) == nil)
        #expect(STUNServer.respond(to: ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"), from: source) == nil)
    }
}
