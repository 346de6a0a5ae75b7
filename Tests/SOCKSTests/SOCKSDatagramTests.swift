import Basics
import NIOCore
import TestSupport
import Testing

@testable import SOCKS

@Suite struct SOCKSDatagramTests {
    private static let address = Endpoint(host: .address(IPAddress(parsing: "192.0.2.1")!), port: 53)

    @Test(arguments: [
        ("0000 00 01 c0000201 0035 6869", "192.0.2.1", 53, "hi"),
        ("0000 00 04 20010db8000000000000000000000001 01bb", "2001:db8::1", 443, ""),
        ("0000 00 03 09 612e6578616d706c65 0035 6869", "a.example", 53, "hi"),
    ])
    func `a datagram is what its bytes say`(hex: String, host: String, port: UInt16, payload: String) throws {
        let bytes = ByteBuffer(bytes: hexBytes(hex))
        let datagram = try SOCKSDatagram(decoding: bytes)
        #expect(datagram.endpoint.port == port)
        #expect(datagram.endpoint.host == IPAddress(parsing: host).map { .address($0) } ?? .name(host))
        #expect(datagram.payload == ByteBuffer(string: payload))
        var encoded = ByteBuffer()
        datagram.write(into: &encoded)
        #expect(encoded == bytes)
        #expect(datagram.encodedLength == bytes.readableBytes)
    }

    @Test(arguments: [
        "", "00", "0000 00", "0000 00 01", "0000 00 01 c00002", "0000 00 01 c0000201", "0000 00 01 c0000201 00",
        "0000 00 01 c0000201 0000 61", "0000 00 02 c0000201 0035 61", "0000 00 00 c0000201 0035 61",
        "0000 00 04 20010db8 0035", "0000 00 03 00 0035 61", "0000 00 03 05 6162 0035", "0000 00 03 02 6120 0035 61",
        "0000 00 03 02 6100 0035 61", "0000 00 03 02 c328 0035 61", "0000 00 ff c0000201 0035 61",
    ])
    func `what is no datagram is malformed`(hex: String) {
        #expect(throws: SOCKSDatagram.Failure.malformed) {
            try SOCKSDatagram(decoding: ByteBuffer(bytes: hexBytes(hex)))
        }
    }

    @Test(arguments: ["0000 01 01 c0000201 0035 61", "0000 81 01 c0000201 0035 61", "0000 7f 09"])
    func `fragments are told apart`(hex: String) {
        #expect(throws: SOCKSDatagram.Failure.fragment) {
            try SOCKSDatagram(decoding: ByteBuffer(bytes: hexBytes(hex)))
        }
    }

    @Test func `the reserved bytes may be anything`() throws {
        let datagram = try SOCKSDatagram(decoding: ByteBuffer(bytes: hexBytes("ffff 00 01 c0000201 0035 61")))
        #expect(datagram.endpoint == Self.address)
    }

    @Test func `a name that spells an address is that address`() throws {
        var bytes = ByteBuffer(bytes: hexBytes("0000 00 03 09"))
        bytes.writeString("192.0.2.1")
        bytes.writeInteger(53 as UInt16)
        #expect(try SOCKSDatagram(decoding: bytes).endpoint == Self.address)
    }
}
