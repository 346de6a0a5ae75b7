import Basics
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("::ffff:127.0.0.0/104", "127.0.0.1", true), ("::ffff:127.0.0.0/104", "128.0.0.1", false),
        ("::ffff:0:0/96", "203.0.113.1", true), ("::ffff:10.1.2.3", "10.1.2.3", true),
        ("10.0.0.0/8", "10.255.0.1", true), ("2001:db8::/32", "2001:db8::1", true), ("::/0", "10.0.0.1", false),
    ])
    func `blocks and addresses are compared in their canonical form`(text: String, address: String, isIn: Bool) throws {
        let address = try #require(IPAddress(parsing: address)?.canonical)
        #expect(try AddressBlock(parsing: text).contains(address) == isIn)
    }

    @Test(arguments: [
        ("10.0.0.1/8", AddressBlockError.hostBitsSet), ("::ffff:127.0.0.1/104", .hostBitsSet),
        ("10.0.0.0/33", .invalidPrefixLength(maximum: 32)), ("name/8", .invalidAddress), ("", .invalidAddress),
    ])
    func `an invalid block is refused with the reason`(text: String, error: AddressBlockError) {
        #expect(throws: error) { try AddressBlock(parsing: text) }
    }

    @Test(
        arguments: [
            ("2002:a9fe:a9fe::1", [], "169.254.169.254"),
            ("64:ff9b::169.254.169.254", [], "169.254.169.254"),
            // RFC 6052 §2.4, with the prefix of RFC 8215.
            ("64:ff9b:1:c000:2:2100::", [], "192.0.2.33"),
            ("64:ff9b:1::c0:2:2100:0", [], "192.0.2.33"),
            ("64:ff9b:1:77:88:99:192.0.2.33", [], "192.0.2.33"),
            // RFC 6052 §2.4, the prefixes of its table.
            ("2001:db8:c000:221::", ["2001:db8::/32"], "192.0.2.33"),
            ("2001:db8:1c0:2:21::", ["2001:db8:100::/40"], "192.0.2.33"),
            ("2001:db8:122:c000:2:2100::", ["2001:db8:122::/48"], "192.0.2.33"),
            ("2001:db8:122:3c0:0:221::", ["2001:db8:122:300::/56"], "192.0.2.33"),
            ("2001:db8:122:344:c0:2:2100::", ["2001:db8:122:344::/64"], "192.0.2.33"),
            ("2001:db8:122:344::192.0.2.33", ["2001:db8:122:344::/96"], "192.0.2.33"),
            // Teredo: the server, and the client inverted (RFC 4380 §4).
            ("2001:0:c000:221:8000:63bf:3fff:fdd2", [], "192.0.2.33"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", [], "192.0.2.45"),
            ("2001:db8::5efe:192.0.2.33", [], "192.0.2.33"),
            ("fe80::200:5efe:192.0.2.33", [], "192.0.2.33"),
            ("::192.0.2.33", [], "192.0.2.33"),
        ] as [(String, [String], String)])
    func `an IPv4 address is found wherever it is embedded`(text: String, prefixes: [String], found: String) throws {
        let address = try #require(IPAddress(parsing: text))
        let nat64 = try prefixes.map { try #require(NAT64Prefix(try AddressBlock(parsing: $0))) }
        #expect(address.embeddedIPv4(nat64: nat64).contains(try #require(IPAddress(parsing: found))))
    }

    @Test(arguments: ["2001:db8::1", "::1", "fe80::1", "2606:4700::1111", "192.0.2.1"])
    func `ordinary addresses embed no IPv4 address`(text: String) throws {
        #expect(try #require(IPAddress(parsing: text)).embeddedIPv4().isEmpty)
    }

    @Test(arguments: ["2001:db8::/33", "2001:db8::/128", "10.0.0.0/32"])
    func `a NAT64 prefix has one of the lengths that RFC 6052 allows`(text: String) throws {
        #expect(NAT64Prefix(try AddressBlock(parsing: text)) == nil)
    }
}
