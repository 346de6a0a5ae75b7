import Basics
import Testing

@testable import rtun_agent

@Suite struct EgressRuleTests {
    @Test(
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", 1, true),
            ("10.0.0.0/8", "11.0.0.0", 1, false),
            ("10.0.0.0/8:80,443,8000-8999", "10.0.0.1", 8500, true),
            ("10.0.0.0/8:80,443,8000-8999", "10.0.0.1", 81, false),
            ("0.0.0.0/0", "255.255.255.255", 65535, true),
            ("0.0.0.0/0", "2001:db8::1", 80, false),
            ("192.0.2.1", "192.0.2.1", 80, true),
            ("192.0.2.1", "192.0.2.2", 80, false),
            ("192.0.2.1:22", "192.0.2.1", 22, true),
            ("192.0.2.1:22", "192.0.2.1", 23, false),
            ("::/0", "2001:db8::1", 80, true),
            ("2001:db8::/32", "2001:db8:ffff::1", 80, true),
            ("2001:db8::/32", "2001:db9::1", 80, false),
            ("2001:db8::/32:443", "2001:db8::1", 443, true),
            ("2001:db8::/32:443", "2001:db8::1", 80, false),
            ("2001:db8::1", "2001:db8::1", 80, true),
            ("[2001:db8::1]:22", "2001:db8::1", 22, true),
            ("[2001:db8::]/32", "2001:db8::1", 22, nil),
            ("[2001:db8::/32]:22-22", "2001:db8::1", 22, true),
            ("*", "2001:db8::1", 80, true),
            ("*:25", "192.0.2.1", 25, true),
            ("*:25", "192.0.2.1", 26, false),
        ] as [(String, String, UInt16, Bool?)])
    func `a rule is read and matches`(text: String, address: String, port: UInt16, matches: Bool?) throws {
        guard let matches else {
            #expect(throws: EgressRuleError.invalid(text)) { try EgressRule(.deny, parsing: text) }
            return
        }
        let rule = try EgressRule(.deny, parsing: text)
        let address = try #require(IPAddress(parsing: address))
        #expect((rule.concerns(port: port) && rule.blocks.contains { $0.contains(address) }) == matches)
    }

    @Test(arguments: [
        ("", EgressRuleError.invalidAddress("")),
        ("example.org", .invalidAddress("example.org")),
        ("10.0.0.0/", .invalidPrefixLength("10.0.0.0/", maximum: 32)),
        ("10.0.0.0/33", .invalidPrefixLength("10.0.0.0/33", maximum: 32)),
        ("10.0.0.0/-1", .invalidPrefixLength("10.0.0.0/-1", maximum: 32)),
        ("::/129", .invalidPrefixLength("::/129", maximum: 128)),
        ("10.0.0.1/8", .hostBitsSet("10.0.0.1/8")),
        ("10.0.0.0/8:", .invalidPorts("10.0.0.0/8:")),
        ("10.0.0.0/8:0", .invalidPorts("10.0.0.0/8:0")),
        ("10.0.0.0/8:65536", .invalidPorts("10.0.0.0/8:65536")),
        ("10.0.0.0/8:90-80", .invalidPorts("10.0.0.0/8:90-80")),
        ("10.0.0.0/8:80,", .invalidPorts("10.0.0.0/8:80,")),
        ("[::1]22", .invalid("[::1]22")),
        ("[::1", .invalidAddress("[::1")),
    ])
    func `anything but a rule is refused`(text: String, error: EgressRuleError) {
        #expect(throws: error) { try EgressRule(.allow, parsing: text) }
    }

    @Test func `random text never traps`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("0123456789abcdef.:/[]*,-x ")
        for _ in 0..<2000 {
            let length = Int.random(in: 0...24, using: &generator)
            let text = String((0..<length).compactMap { _ in alphabet.randomElement(using: &generator) })
            _ = try? EgressRule(.allow, parsing: text)
        }
    }
}
