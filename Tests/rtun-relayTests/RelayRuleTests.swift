import NIOCore
import Testing

@testable import rtun_relay

struct RelayRuleTests {
    @Test(arguments: [
        ("udp://0.0.0.0:15353?to=8.8.8.8:53", "0.0.0.0:15353", "8.8.8.8:53"),
        ("0.0.0.0:15354?to=8.8.4.4:53", "0.0.0.0:15354", "8.8.4.4:53"),
        ("[::1]:5353?to=[2001:db8::53]:53", "[::1]:5353", "[2001:db8::53]:53"),
        ("127.0.0.1:0?to=[2001:db8::53]:65535", "127.0.0.1:0", "[2001:db8::53]:65535"),
        ("udp://[::]:1?to=192.0.2.1:1", "[::]:1", "192.0.2.1:1"),
        ("[fe80::1%1]:53?to=192.0.2.1:1", "[fe80::1%1]:53", "192.0.2.1:1"),
        ("tcp://127.0.0.1:8022?to=10.1.0.9:22", "127.0.0.1:8022", "10.1.0.9:22"),
        ("tcp://[::]:0?to=[2001:db8::22]:22", "[::]:0", "[2001:db8::22]:22"),
        ("tcp://[fe80::1%1]:22?to=192.0.2.1:22", "[fe80::1%1]:22", "192.0.2.1:22"),
    ])
    func `a good rule is read`(text: String, listen: String, target: String) throws {
        let rule = try RelayRule(parsing: text)
        #expect(rule.transport == (text.hasPrefix("tcp://") ? .tcp : .udp))
        #expect(rule.listenAddress.numeric == listen)
        #expect(rule.target.numeric == target)
        #expect(try RelayRule(parsing: rule.description) == rule)
    }

    @Test(arguments: [
        ("", RelayRuleError.Kind.empty, ""),
        ("TCP://127.0.0.1:1?to=192.0.2.1:1", .unknownProtocol, "TCP"),
        ("tcp:127.0.0.1:1?to=192.0.2.1:1", .missingBracket, "tcp:127.0.0.1:1"),
        ("tcp://127.0.0.1:1?to=192.0.2.1:0", .zeroTargetPort, "0"),
        ("tcp://127.0.0.1:1?to=ssh.example:22", .nameNotSupported, "ssh.example"),
        ("tcp://127.0.0.1:1?to=[fe80::1%1]:22", .invalidAddress, "%1"),
        ("sctp://127.0.0.1:1?to=192.0.2.1:1", .unknownProtocol, "sctp"),
        ("UDP://127.0.0.1:1?to=192.0.2.1:1", .unknownProtocol, "UDP"),
        ("127.0.0.1:1", .missingTarget, "127.0.0.1:1"),
        ("127.0.0.1:1?", .missingTarget, ""),
        ("127.0.0.1:1?to=", .missingTarget, "to="),
        ("127.0.0.1:1?to=192.0.2.1:1&idle=3", .strayParameter, "idle=3"),
        ("127.0.0.1:1?from=x&to=192.0.2.1:1", .strayParameter, "from=x"),
        ("127.0.0.1:1?to=192.0.2.1:1&to=192.0.2.2:1", .strayParameter, "to=192.0.2.2:1"),
        ("127.0.0.1:1?to=192.0.2.1:1&", .strayParameter, ""),
        ("127.0.0.1:1?to=192.0.2.1:1?", .strayParameter, ""),
        ("127.0.0.1?to=192.0.2.1:1", .missingPort, "127.0.0.1"),
        ("127.0.0.1:?to=192.0.2.1:1", .missingPort, "127.0.0.1:"),
        ("127.0.0.1:1?to=192.0.2.1", .missingPort, "192.0.2.1"),
        ("127.0.0.1:1?to=[2001:db8::1]", .missingPort, "[2001:db8::1]"),
        ("127.0.0.1:1?to=[2001:db8::1]53", .missingPort, "[2001:db8::1]53"),
        ("127.0.0.1:1?to=192.0.2.1:0", .zeroTargetPort, "0"),
        ("127.0.0.1:1?to=192.0.2.1:65536", .invalidPort, "65536"),
        ("127.0.0.1:x?to=192.0.2.1:1", .invalidPort, "x"),
        ("127.0.0.1:+1?to=192.0.2.1:1", .invalidPort, "+1"),
        ("127.0.0.1:1?to=dns.example:53", .nameNotSupported, "dns.example"),
        ("localhost:1?to=192.0.2.1:53", .nameNotSupported, "localhost"),
        (":1?to=192.0.2.1:53", .invalidAddress, ""),
        ("127.0.0.256:1?to=192.0.2.1:53", .invalidAddress, "127.0.0.256"),
        ("2001:db8::1:53?to=192.0.2.1:53", .missingBracket, "2001:db8::1:53"),
        ("127.0.0.1:1?to=[2001:db8::1:53", .missingBracket, "[2001:db8::1:53"),
        ("127.0.0.1:1?to=[192.0.2.1]:53", .invalidAddress, "192.0.2.1"),
        ("127.0.0.1:1?to=[zz::]:53", .invalidAddress, "zz::"),
        ("127.0.0.1:1?to=[fe80::1%1]:53", .invalidAddress, "%1"),
        ("127.0.0.1:1?to=[fe80::1%lo]:53", .invalidAddress, "%lo"),
    ])
    func `a bad rule is refused, and the faulty part named`(text: String, kind: RelayRuleError.Kind, fault: String) {
        let error = #expect(throws: RelayRuleError.self) { try RelayRule(parsing: text) }
        #expect(error?.kind == kind)
        #expect(error?.faultyPart == fault)
    }

    @Test func `carets mark the faulty part`() throws {
        let error = try #require(throws: RelayRuleError.self) {
            try RelayRule(parsing: "127.0.0.1:1?to=dns.example:53")
        }
        let lines = error.description.split(separator: "\n")
        #expect(lines[1] == "  -L 127.0.0.1:1?to=dns.example:53")
        #expect(lines[2] == "                    ^^^^^^^^^^^")
    }

    @Test(arguments: [("udp", "dns.example", false), ("tcp", "ssh.example", true)])
    func `whoever wants TCP to a name hears which program does that`(proto: String, name: String, isTold: Bool) {
        let error = #expect(throws: RelayRuleError.self) {
            try RelayRule(parsing: "\(proto)://127.0.0.1:1?to=\(name):53")
        }
        #expect(error?.message.contains("rtun-socks connects to names") == isTold)
    }

    @Test(arguments: [
        ("127.0.0.1:5", "tcp://127.0.0.1:5", false), ("tcp://127.0.0.1:5", "tcp://127.0.0.1:5", true),
        ("tcp://0.0.0.0:5", "tcp://127.0.0.1:5", true), ("tcp://0.0.0.0:5", "udp://127.0.0.1:5", false),
        ("tcp://[::]:5", "tcp://0.0.0.0:5", false), ("tcp://[::]:5", "tcp://[::1]:5", true),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", false), ("udp://0.0.0.0:5", "127.0.0.1:5", true),
        ("tcp://[fe80::1%1]:5", "tcp://[fe80::1%2]:5", false),
    ])
    func `rules of one protocol may not overlap`(one: String, another: String, overlap: Bool) throws {
        let texts = [one, another].map { "\($0)?to=192.0.2.1:1" }
        guard overlap else { return #expect(try RelayRule.parse(texts).map(\.description).count == 2) }
        let error = #expect(throws: RelayRuleError.self) { try RelayRule.parse(texts) }
        #expect(error?.kind == .duplicateListenAddress)
    }

    @Test func `two rules may not listen on one address, but any number on port 0`() throws {
        #expect(try RelayRule.parse(["127.0.0.1:0?to=192.0.2.1:1", "127.0.0.1:0?to=192.0.2.2:1"]).count == 2)
        #expect(try RelayRule.parse(["127.0.0.1:5?to=192.0.2.1:1", "127.0.0.2:5?to=192.0.2.1:1"]).count == 2)
        let error = #expect(throws: RelayRuleError.self) {
            try RelayRule.parse(["127.0.0.1:5?to=192.0.2.1:1", "udp://127.0.0.1:5?to=192.0.2.2:1"])
        }
        #expect(error?.kind == .duplicateListenAddress)
        #expect(error?.faultyPart == "127.0.0.1:5")
    }

    @Test func `any text is either a rule or an error`() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("udtcp://[]:?to=&.0123456789abcdef%é ")
        for _ in 0..<5000 {
            let text = String(
                (0..<Int.random(in: 0...40, using: &random)).compactMap { _ in alphabet.randomElement(using: &random) })
            do {
                _ = try RelayRule(parsing: text)
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
    }
}
