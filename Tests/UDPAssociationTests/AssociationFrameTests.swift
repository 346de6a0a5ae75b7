import Basics
import NIOCore
import TestSupport
import Testing

@testable import UDPAssociation

@Suite struct AssociationFrameTests {
    /// A frame and its bytes.
    struct Sample: CustomTestStringConvertible {
        let name: String
        let hex: String
        let frame: AssociationFrame
        var testDescription: String { self.name }

        init(_ name: String, _ hex: String, _ association: UInt64, _ content: AssociationFrame.Content) {
            self.name = name
            self.hex = hex
            self.frame = AssociationFrame(association: AssociationID(rawValue: association), content: content)
        }
    }

    private static let v4 = Endpoint(host: .address(IPAddress(parsing: "192.0.2.1")!), port: 53)
    private static let v6 = Endpoint(host: .address(IPAddress(parsing: "2001:db8::1")!), port: 443)
    private static let name = Endpoint(host: .name("a.example"), port: 0x1234)

    static let samples: [Sample] = [
        Sample("IPv4", "00 01 c0000201 0035 6869", 0, .datagram(Self.v4, ByteBuffer(string: "hi"))),
        Sample(
            "IPv6", "3f 02 20010db8000000000000000000000001 01bb 6869", 63,
            .datagram(Self.v6, ByteBuffer(string: "hi"))),
        Sample(
            "a name, a longer number", "4040 03 09 612e6578616d706c65 1234", 64, .datagram(Self.name, ByteBuffer())),
        Sample("nothing in it", "80004000 01 c0000201 0035", 1 << 14, .datagram(Self.v4, ByteBuffer())),
        Sample(
            "the longest number", "cfffffffffffffff 01 c0000201 0035 00", (1 << 60) - 1,
            .datagram(Self.v4, ByteBuffer(bytes: [0]))),
        Sample(
            "the first piece", "01 05 beef 02 c0000201 0035 61", 1,
            .fragment(.init(packet: 0xBEEF, index: 0, count: 3, endpoint: Self.v4, payload: ByteBuffer(string: "a")))),
        Sample(
            "a later piece", "01 04 beef 22 6162", 1,
            .fragment(.init(packet: 0xBEEF, index: 2, count: 3, endpoint: nil, payload: ByteBuffer(string: "ab")))),
        Sample(
            "the last of sixteen", "01 04 0000 ff 61", 1,
            .fragment(.init(packet: 0, index: 15, count: 16, endpoint: nil, payload: ByteBuffer(string: "a")))),
    ]

    @Test(arguments: Self.samples)
    func `a frame is what its bytes say`(sample: Sample) throws {
        let bytes = ByteBuffer(bytes: hexBytes(sample.hex))
        #expect(AssociationFrame(decoding: bytes) == sample.frame)
        #expect(sample.frame.encoded() == bytes)
    }

    @Test(arguments: [
        ("nothing", ""),
        ("no head", "00"),
        ("a cut number", "c0000000"),
        ("no address in a datagram", "00 00 6869"),
        ("a cut IPv4 address", "00 01 c00002"),
        ("a cut IPv6 address", "00 02 20010db8"),
        ("a cut name", "00 03 09 612e"),
        ("an empty name", "00 03 00 1234"),
        ("a name with a space", "00 03 03 612062 1234"),
        ("a name with NUL", "00 03 03 610062 1234"),
        ("a name that is not UTF-8", "00 03 02 c328 1234"),
        ("no port", "00 01 c0000201"),
        ("port 0", "00 01 c0000201 0000 61"),
        ("a bit of a later version", "00 09 c0000201 0035 61"),
        ("the highest bit", "00 81 c0000201 0035 61"),
        ("a piece beyond the last", "00 04 0001 32 61"),
        ("a first piece without an address", "00 04 0001 01 61"),
        ("a later piece with an address", "00 05 0001 11 c0000201 0035 61"),
        ("an empty piece", "00 04 0001 11"),
        ("an empty first piece", "00 05 0001 01 c0000201 0035"),
        ("a cut piece", "00 04 00"),
    ])
    func `what is no frame is none`(name: String, hex: String) throws {
        #expect(AssociationFrame(decoding: ByteBuffer(bytes: hexBytes(hex))) == nil)
    }

    @Test func `a name that spells an address is that address`() throws {
        for (text, address) in [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("[::1]", "::1")] {
            var bytes = ByteBuffer(bytes: [0, 3, UInt8(text.utf8.count)])
            bytes.writeString(text)
            bytes.writeInteger(53 as UInt16)
            let expected = Endpoint(host: .address(try #require(IPAddress(parsing: address))), port: 53)
            #expect(
                AssociationFrame(decoding: bytes)?.content == .datagram(expected, ByteBuffer()))
        }
    }

    @Test func `the number of an association is that of its stream`() {
        #expect(AssociationID(streamID: 0).rawValue == 0)
        #expect(AssociationID(streamID: 4).rawValue == 1)
        #expect(AssociationID(streamID: (1 << 62) - 4).rawValue == (1 << 60) - 1)
    }
}
