import NIOCore
import STUN
import TestSupport

/// The test vectors of RFC 5769.
///
/// The RFC pads with 0x20 in RFC 5769 §2.1 to §2.3, which RFC 5389 allowed ("may be any value"); RFC 8489 §14 has
/// senders pad with zeros. Both checksums cover the padding, so encoding is compared with the same messages padded with
/// zeros, their MESSAGE-INTEGRITY and FINGERPRINT computed with Python's `hmac` and `zlib`.
///
/// Errata: copies of RFC 5769 §2.4 differ in a byte of the user name; these are the bytes that the printed MESSAGE-INTEGRITY
/// covers. Its password is `TheMatrIX` after the SASLprep that RFC 5389 prescribes, its padding zero, and it has no FINGERPRINT.
enum Vector {
    static let password = Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)
    static let id = TransactionID(high: 0xb7e7_a701, low: 0xbc34_d686_fa87_dfae)

    /// RFC 5769 §2.1, sample request
    static let request = """
        00010058 2112a442 b7e7a701bc34d686fa87dfae
        80220010 5354554e207465737420636c69656e74
        00240004 6e0001ff
        80290008 932ff9b151263b36
        00060009 6576746a3a68367659202020
        00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
        80280004 e57a3bcf
        """
    /// RFC 5769 §2.2, sample IPv4 response
    static let responseIPv4 = """
        0101003c 2112a442 b7e7a701bc34d686fa87dfae
        8022000b 7465737420766563746f7220
        00200008 0001a147e112a643
        00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
        80280004 c07d4c96
        """
    /// RFC 5769 §2.3, sample IPv6 response
    static let responseIPv6 = """
        01010048 2112a442 b7e7a701bc34d686fa87dfae
        8022000b 7465737420766563746f7220
        00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
        00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
        80280004 c8fb0b4c
        """
    /// RFC 5769 §2.4, sample request with long-term authentication
    static let longTermRequest = """
        00010060 2112a442 78ad3433c6ad72c029da412e
        00060012 e3839ee38388e383aae38383e382afe382b90000
        0015001c 662f2f3439396b39353464364f4c33346f4c39465354767936347341
        0014000b 6578616d706c652e6f726700
        00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666
        """
    /// MD5("マトリックス:example.org:TheMatrIX") (RFC 8489 §9.2.2)
    static let longTermKey = hexBytes("e8ca7ad59d5eb0518e312911d2dab2a9")

    /// RFC 5769 §2.1 with zeros for padding
    static let requestZeroPadded = """
        00010058 2112a442 b7e7a701bc34d686fa87dfae
        80220010 5354554e207465737420636c69656e74
        00240004 6e0001ff
        80290008 932ff9b151263b36
        00060009 6576746a3a68367659000000
        00080014 7907c2d2edbfea480e4c76d82962d5c3742af9e3
        80280004 e352928d
        """
    /// RFC 5769 §2.2 with zeros for padding
    static let responseIPv4ZeroPadded = """
        0101003c 2112a442 b7e7a701bc34d686fa87dfae
        8022000b 7465737420766563746f7200
        00200008 0001a147e112a643
        00080014 5d6b58bead94e07eef0dfc1282a2bd0843141028
        80280004 25167a15
        """
    /// RFC 5769 §2.3 with zeros for padding
    static let responseIPv6ZeroPadded = """
        01010048 2112a442 b7e7a701bc34d686fa87dfae
        8022000b 7465737420766563746f7200
        00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
        00080014 bd036d6a331750dfe2edc58e643455cff5c8e264
        80280004 4f260293
        """

    static func datagram(_ hex: String) -> ByteBuffer {
        ByteBuffer(bytes: hexBytes(hex))
    }

    static let requestMessage = STUNMessage(
        .request, id: id,
        attributes: [
            .software("STUN test client"), .priority(0x6e00_01ff), .iceControlled(0x932f_f9b1_5126_3b36),
            .username("evtj:h6vY"),
        ])
    static let responseIPv4Message = STUNMessage(
        .success, id: id,
        attributes: [
            .software("test vector"), .xorMappedAddress(TransportAddress(ipv4: 0xC000_0201, port: 32853)),
        ])
    static let responseIPv6Message = STUNMessage(
        .success, id: id,
        attributes: [
            .software("test vector"),
            .xorMappedAddress(TransportAddress(ipv6: 0x2001_0db8_1234_5678, 0x0011_2233_4455_6677, port: 32853)),
        ])
    static let longTermMessage = STUNMessage(
        .request, id: TransactionID(high: 0x78ad_3433, low: 0xc6ad_72c0_29da_412e),
        attributes: [
            .username("マトリックス"), .nonce("f//499k954d6OL34oL9FSTvy64sA"), .realm("example.org"),
        ])
}
