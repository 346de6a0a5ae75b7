import NIOCore
import TestSupport
import Testing

@testable import STUN

@Suite struct `RFC 5769 vectors` {
    @Test(arguments: [
        (Vector.request, Vector.requestMessage, Vector.password, true),
        (Vector.responseIPv4, Vector.responseIPv4Message, Vector.password, true),
        (Vector.responseIPv6, Vector.responseIPv6Message, Vector.password, true),
        (Vector.longTermRequest, Vector.longTermMessage, Vector.longTermKey, false),
        (Vector.requestZeroPadded, Vector.requestMessage, Vector.password, true),
        (Vector.responseIPv4ZeroPadded, Vector.responseIPv4Message, Vector.password, true),
        (Vector.responseIPv6ZeroPadded, Vector.responseIPv6Message, Vector.password, true),
    ])
    func `decode to the described message, with the right integrity`(
        hex: String, message: STUNMessage, key: [UInt8], hasFingerprint: Bool
    ) throws {
        let received = try ReceivedSTUNMessage(decoding: Vector.datagram(hex))
        #expect(received.message == message)
        #expect(received.hasFingerprint == hasFingerprint)
        #expect(received.hasIntegrity)
        #expect(received.isAuthentic(key: MessageIntegrityKey(key)))
        #expect(!received.isAuthentic(key: MessageIntegrityKey(key + [0x20])))
        #expect(!received.isAuthentic(key: MessageIntegrityKey([])))
    }

    @Test(arguments: [
        (Vector.requestZeroPadded, Vector.requestMessage, Vector.password, true),
        (Vector.responseIPv4ZeroPadded, Vector.responseIPv4Message, Vector.password, true),
        (Vector.responseIPv6ZeroPadded, Vector.responseIPv6Message, Vector.password, true),
        (Vector.longTermRequest, Vector.longTermMessage, Vector.longTermKey, false),
    ])
    func `encode to the same bytes`(hex: String, message: STUNMessage, key: [UInt8], fingerprint: Bool) {
        let encoded = message.encoded(integrityKey: MessageIntegrityKey(key), fingerprint: fingerprint)
        #expect(Array(encoded.readableBytesView) == hexBytes(hex))
    }

    @Test(arguments: [Vector.request, Vector.responseIPv4, Vector.responseIPv6])
    func `any changed bit is noticed`(hex: String) {
        let bytes = hexBytes(hex)
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 0x80 >> UInt8(bit % 8)
            let received = try? ReceivedSTUNMessage(decoding: ByteBuffer(bytes: changed))
            // The fingerprint's type can turn into that of an ignored attribute; the integrity still covers the rest.
            let isFingerprintHeader = bit / 8 >= bytes.count - 8
            #expect(received == nil || isFingerprintHeader)
        }
    }

    @Test func `any changed bit before the integrity is noticed without a fingerprint`() throws {
        let bytes = hexBytes(Vector.longTermRequest)
        for bit in 0..<(bytes.count - 24) * 8 {
            var changed = bytes
            changed[bit / 8] ^= 0x80 >> UInt8(bit % 8)
            if let received = try? ReceivedSTUNMessage(decoding: ByteBuffer(bytes: changed)) {
                #expect(!received.isAuthentic(key: MessageIntegrityKey(Vector.longTermKey)))
            }
        }
    }

    @Test func `CRC-32 has its check value`() {
        let value = Array("123456789".utf8).withUnsafeBytes { CRC32.checksum($0) }
        #expect(value == 0xCBF4_3926)
    }
}
