import NIOCore
import TestSupport
import Testing

@testable import STUN

@Suite struct `STUN messages` {
    static let id = TransactionID(high: 0x0102_0304, low: 0x0506_0708_090A_0B0C)
    static let header = "2112a442 0102030405060708090a0b0c"

    /// `value ↔ hex` of the attribute with its type and length.
    @Test(arguments: [
        (STUNAttribute.mappedAddress(TransportAddress(ipv4: 0xC000_0201, port: 80)), "00010008 00010050c0000201"),
        (
            .mappedAddress(TransportAddress(ipv6: 0x2001_0db8_0000_0000, 1, port: 65535)),
            "00010014 0002ffff20010db8000000000000000000000001"
        ),
        (.xorMappedAddress(TransportAddress(ipv4: 0xC000_0201, port: 32853)), "00200008 0001a147e112a643"),
        (
            .xorMappedAddress(TransportAddress(ipv6: 0, 1, port: 0x2112)),
            "00200014 000200002112a442010203040506070809 0a0b0d"
        ),
        (.username("evtj:h6vY"), "00060009 6576746a3a68367659000000"),
        (.username(""), "00060000"),
        (.errorCode(.roleConflict), "00090011 00000457 526f6c6520436f6e666c696374000000"),
        (.unknownAttributes([0x7FFF, 0x0003]), "000a0004 7fff0003"),
        (.unknownAttributes([0x7FFF]), "000a0002 7fff0000"),
        (.realm("a"), "00140001 61000000"),
        (.nonce("ab"), "00150002 61620000"),
        (.software("é"), "80220002 c3a90000"),
        (.alternateServer(TransportAddress(ipv4: 0x7F00_0001, port: 1)), "80230008 000100017f000001"),
        (.priority(0x6e00_01ff), "00240004 6e0001ff"),
        (.useCandidate, "00250000"),
        (.iceControlled(1), "80290008 0000000000000001"),
        (.iceControlling(.max), "802a0008 ffffffffffffffff"),
        (.other(type: 0x7777, value: [1, 2, 3, 4, 5]), "77770005 0102030405000000"),
    ])
    func `an attribute has one encoding`(attribute: STUNAttribute, hex: String) throws {
        let message = STUNMessage(.request, id: Self.id, attributes: [attribute])
        let body = hexBytes(hex)
        let encoded = message.encoded()
        #expect(Array(encoded.readableBytesView.dropFirst(20)) == body)
        #expect(encoded.getInteger(at: 2, as: UInt16.self) == UInt16(body.count))
        #expect(try ReceivedSTUNMessage(decoding: encoded).message == message)
    }

    @Test(arguments: [
        (STUNMessage.Class.request, "0001"), (.indication, "0011"), (.success, "0101"), (.failure, "0111"),
    ])
    func `the class sits between the bits of the method`(messageClass: STUNMessage.Class, hex: String) throws {
        let encoded = STUNMessage(messageClass, id: Self.id).encoded()
        #expect(Array(encoded.readableBytesView.prefix(2)) == hexBytes(hex))
        #expect(try ReceivedSTUNMessage(decoding: encoded).message.messageClass == messageClass)
    }

    @Test func `every method that RFC 9443 leaves room for survives, with every class`() throws {
        for method in UInt16(0)...0xFF {
            for messageClass: STUNMessage.Class in [.request, .indication, .success, .failure] {
                let message = STUNMessage(messageClass, method: .init(rawValue: method), id: Self.id)
                #expect(try ReceivedSTUNMessage(decoding: message.encoded()).message == message)
            }
        }
    }

    @Test(arguments: [
        // Not STUN.
        ("", STUNError.notSTUN),
        ("00010000 2112a442 0102030405060708090a0b", .notSTUN),
        ("40010000 2112a442 0102030405060708090a0b0c", .notSTUN),
        ("80010000 2112a442 0102030405060708090a0b0c", .notSTUN),
        ("00010000 2112a443 0102030405060708090a0b0c", .notSTUN),
        // Lengths.
        ("00010004 2112a442 0102030405060708090a0b0c", .lengthMismatch(claimed: 4, actual: 0)),
        ("00010000 2112a442 0102030405060708090a0b0c 80220000", .lengthMismatch(claimed: 0, actual: 4)),
        ("00010003 2112a442 0102030405060708090a0b0c 802200", .lengthMismatch(claimed: 3, actual: 3)),
        ("0001ffff 2112a442 0102030405060708090a0b0c", .lengthMismatch(claimed: 65535, actual: 0)),
        // Attributes past the end: value, then padding.
        ("00010004 2112a442 0102030405060708090a0b0c 80220001", .truncatedAttribute(type: 0x8022)),
        ("00010008 2112a442 0102030405060708090a0b0c 8022ffff 00000000", .truncatedAttribute(type: 0x8022)),
        ("00010008 2112a442 0102030405060708090a0b0c 80220005 00000000", .truncatedAttribute(type: 0x8022)),
        // Values that break their definition.
        ("00010008 2112a442 0102030405060708090a0b0c 00240003 00000000", .malformedAttribute(type: 0x24)),
        ("0001000c 2112a442 0102030405060708090a0b0c 00240008 0000000000000000", .malformedAttribute(type: 0x24)),
        ("00010008 2112a442 0102030405060708090a0b0c 00250001 00000000", .malformedAttribute(type: 0x25)),
        ("00010008 2112a442 0102030405060708090a0b0c 80290004 00000000", .malformedAttribute(type: 0x8029)),
        ("0001000c 2112a442 0102030405060708090a0b0c 00010008 0003005000000000", .malformedAttribute(type: 1)),
        ("0001000c 2112a442 0102030405060708090a0b0c 00200008 0002005000000000", .malformedAttribute(type: 0x20)),
        (
            "00010010 2112a442 0102030405060708090a0b0c 0020000c 000100500000000000000000",
            .malformedAttribute(type: 0x20)
        ),
        ("00010008 2112a442 0102030405060708090a0b0c 00200004 00010050", .malformedAttribute(type: 0x20)),
        ("00010008 2112a442 0102030405060708090a0b0c 00090003 00000400", .malformedAttribute(type: 9)),
        ("00010008 2112a442 0102030405060708090a0b0c 00090004 00000200", .malformedAttribute(type: 9)),
        ("00010008 2112a442 0102030405060708090a0b0c 00090004 00000700", .malformedAttribute(type: 9)),
        ("00010008 2112a442 0102030405060708090a0b0c 00090004 00000464", .malformedAttribute(type: 9)),
        ("00010008 2112a442 0102030405060708090a0b0c 000a0003 7fff0000", .malformedAttribute(type: 10)),
        ("00010008 2112a442 0102030405060708090a0b0c 00060002 c3280000", .malformedAttribute(type: 6)),
        ("00010008 2112a442 0102030405060708090a0b0c 00080004 00000000", .malformedAttribute(type: 8)),
        // Fingerprints: wrong, of the wrong length, followed by something.
        ("00010008 2112a442 0102030405060708090a0b0c 80280004 00000000", .badFingerprint),
        ("00010008 2112a442 0102030405060708090a0b0c 80280003 00000000", .badFingerprint),
        (Vector.responseIPv4.replacing("0101003c", with: "01010040") + "80220000", .badFingerprint),
    ])
    func `attributes out of place are refused`(hex: String, error: STUNError) {
        #expect(throws: error) { try ReceivedSTUNMessage(decoding: Vector.datagram(hex)) }
    }

    @Test func `nothing may follow a right fingerprint`() {
        var bytes = hexBytes("0001000c 2112a442 0102030405060708090a0b0c")
        let value = bytes.withUnsafeBytes { STUNFingerprint.value(over: $0) }
        bytes += hexBytes("80280004") + withUnsafeBytes(of: value.bigEndian) { Array($0) }
        bytes += hexBytes("80220000")
        #expect(throws: STUNError.badFingerprint) { try ReceivedSTUNMessage(decoding: ByteBuffer(bytes: bytes)) }
    }

    @Test func `a string that is too long is refused`() throws {
        for (length, type) in [(514, UInt16(0x0006)), (764, 0x8022), (764, 0x0014), (764, 0x0015)] {
            let message = STUNMessage(
                .request, id: Self.id, attributes: [.other(type: type, value: Array(repeating: 0x61, count: length))])
            #expect(throws: STUNError.malformedAttribute(type: type)) {
                try ReceivedSTUNMessage(decoding: message.encoded())
            }
        }
    }

    @Test func `more than 2048 bytes are refused unread`() {
        let attributes = Array(repeating: STUNAttribute.other(type: 0x8000, value: []), count: 507)
        let largest = STUNMessage(.request, id: Self.id, attributes: attributes).encoded()
        #expect(largest.readableBytes == 2048)
        #expect(throws: Never.self) { try ReceivedSTUNMessage(decoding: largest) }
        let larger = STUNMessage(.request, id: Self.id, attributes: attributes + [.useCandidate]).encoded()
        #expect(throws: STUNError.tooLarge(length: 2052)) { try ReceivedSTUNMessage(decoding: larger) }
    }

    @Test func `attributes after the integrity are ignored, but for the fingerprint`() throws {
        let key = Vector.password
        var buffer = STUNMessage(.request, id: Self.id, attributes: [.priority(1)]).encoded(
            integrityKey: MessageIntegrityKey(key))
        buffer.writeBytes(hexBytes("00240004 00000002 00250000"))
        buffer.setInteger(UInt16(buffer.readableBytes - 20), at: 2)
        let received = try ReceivedSTUNMessage(decoding: buffer)
        #expect(received.message.attributes == [.priority(1)])
        #expect(received.isAuthentic(key: MessageIntegrityKey(key)))
    }

    @Test func `of two equal attributes the first counts`() {
        let message = STUNMessage(
            .request, id: Self.id, attributes: [.priority(1), .priority(2), .username("a"), .username("b")])
        #expect(message.priority == 1)
        #expect(message.username == "a")
    }

    @Test func `unknown attributes are reported when they must be understood`() {
        let message = STUNMessage(
            .request, id: Self.id,
            attributes: [
                .other(type: 0x7FFF, value: []), .other(type: 0x8000, value: []), .other(type: 3, value: [1]),
                .other(type: 0x7FFF, value: []), .priority(1),
            ])
        #expect(message.unknownRequiredAttributes == [0x7FFF, 3])
    }

    @Test func `XOR-MAPPED-ADDRESS is preferred to MAPPED-ADDRESS`() {
        let plain = TransportAddress(ipv4: 1, port: 1)
        let xored = TransportAddress(ipv4: 2, port: 2)
        var message = STUNMessage(.success, id: Self.id, attributes: [.mappedAddress(plain), .xorMappedAddress(xored)])
        #expect(message.mappedAddress == xored)
        message.attributes.removeLast()
        #expect(message.mappedAddress == plain)
    }

    @Test func `messages decode from the middle of a buffer`() throws {
        var buffer = ByteBuffer(bytes: [1, 2, 3])
        buffer.writeBytes(hexBytes(Vector.request))
        buffer.moveReaderIndex(forwardBy: 3)
        let received = try ReceivedSTUNMessage(decoding: buffer)
        #expect(received.isAuthentic(key: MessageIntegrityKey(Vector.password)))
        #expect(STUNMessage.isSTUN(buffer))
    }

    @Test func `control characters of a reason stay out of logs`() throws {
        let error = try #require(STUNErrorCode(code: 400, reason: "a\n\u{1B}[31m\u{202E}b"))
        #expect("\(error)" == "400 a[31mb")
    }
}
