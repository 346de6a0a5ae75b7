import Basics
import Testing

@testable import rtun_agent

@Suite struct EgressPolicyTests {
    /// A row of the table: rules as on the command line ("+" allows, "-" denies), a target, and what is to be said.
    struct Row: Sendable, CustomTestStringConvertible {
        let rules: [String]
        let address: String
        let port: UInt16
        let permitted: Bool

        init(_ rules: [String], _ address: String, _ port: UInt16, _ permitted: Bool) {
            self.rules = rules
            self.address = address
            self.port = port
            self.permitted = permitted
        }

        var testDescription: String { "\(self.rules) \(self.address) \(self.port)" }
    }

    private static func policy(_ rules: [String]) throws -> EgressPolicy {
        EgressPolicy(
            try rules.map { try EgressRule($0.hasPrefix("+") ? .allow : .deny, parsing: String($0.dropFirst())) })
    }

    @Test(arguments: [
        // Without rules: everything but link-local and metadata addresses, in whatever disguise.
        Row([], "93.184.216.34", 80, true),
        Row([], "127.0.0.1", 80, true),
        Row([], "::1", 80, true),
        Row([], "2001:db8::1", 80, true),
        Row([], "169.254.0.1", 80, false),
        Row([], "169.254.169.254", 80, false),
        Row([], "100.100.100.200", 80, false),
        Row([], "fe80::1", 80, false),
        Row([], "fe80::1%lo", 80, false),
        Row([], "febf::1", 80, false),
        Row([], "fec0::1", 80, true),
        Row([], "fd00:ec2::254", 80, false),
        Row([], "fd00:ec2::253", 80, true),
        Row([], "::ffff:169.254.169.254", 80, false),
        Row([], "::ffff:93.184.216.34", 80, true),
        Row([], "2002:a9fe:a9fe::1", 80, false),
        Row([], "2002:5db8:d822::1", 80, true),
        Row([], "64:ff9b::169.254.169.254", 80, false),
        Row([], "64:ff9b::93.184.216.34", 80, true),
        Row([], "::169.254.169.254", 80, false),
        // The first rule that matches decides.
        Row(["+169.254.169.254"], "169.254.169.254", 80, true),
        Row(["+169.254.169.254"], "169.254.169.253", 80, false),
        Row(["-10.0.0.0/8", "+10.1.0.0/16"], "10.1.0.1", 80, false),
        Row(["+10.1.0.0/16", "-10.0.0.0/8"], "10.1.0.1", 80, true),
        Row(["+10.1.0.0/16", "-10.0.0.0/8"], "10.2.0.1", 80, false),
        Row(["-*:25"], "192.0.2.1", 25, false),
        Row(["-*:25"], "192.0.2.1", 26, true),
        Row(["+10.0.0.0/8:80", "-*"], "10.0.0.1", 80, true),
        Row(["+10.0.0.0/8:80", "-*"], "10.0.0.1", 81, false),
        Row(["+10.0.0.0/8:80", "-*"], "2001:db8::1", 80, false),
        // The unspecified address connects to this machine.
        Row(["-127.0.0.0/8"], "0.0.0.0", 80, false),
        Row(["-127.0.0.0/8"], "::ffff:0.0.0.0", 80, false),
        Row(["-::1"], "::", 80, false),
        // An embedded address only ever speaks against a target.
        Row(["-10.0.0.0/8"], "64:ff9b::10.0.0.1", 80, false),
        Row(["-10.0.0.0/8"], "2002:0a00:1::1", 80, false),
        Row(["-127.0.0.0/8"], "2002:0::1", 80, false),
        Row(["+10.0.0.0/8", "-*"], "64:ff9b::10.0.0.1", 80, false),
        Row(["+64:ff9b::/96", "-*"], "64:ff9b::10.0.0.1", 80, true),
        Row(["-127.0.0.0/8"], "::1", 80, true),
        Row([], "168.63.129.16", 80, false),
        Row([], "64:ff9b:1:a9fe:a9:fe00::", 80, false),
        Row([], "2001:0:a9fe:a9fe::1", 80, false),
        Row([], "2001:db8::5efe:169.254.169.254", 80, false),
        // One form for all that is compared.
        Row(["-::ffff:127.0.0.0/104"], "127.0.0.1", 80, false),
        Row(["-::ffff:127.0.0.0/104"], "::ffff:127.0.0.1", 80, false),
        Row(["+::ffff:10.1.0.0/112", "-*"], "10.1.0.1", 80, true),
    ])
    func `the first rule that matches decides`(row: Row) throws {
        let address = try #require(IPAddress(parsing: row.address))
        #expect(try Self.policy(row.rules).permits(address, port: row.port) == row.permitted)
    }

    @Test(
        arguments: [
            ([], 80, true),
            (["-*"], 80, false),
            (["-*:25"], 25, false),
            (["-*:25"], 80, true),
            (["-0.0.0.0/0"], 80, true),
            (["-0.0.0.0/0", "-::/0"], 80, false),
            (["-0.0.0.0/1", "-128.0.0.0/1", "-::/0"], 80, false),
            (["-0.0.0.0/1", "-128.0.0.0/2", "-::/0"], 80, true),
            (["+10.0.0.0/8:80", "-*"], 80, true),
            (["+10.0.0.0/8:80", "-*"], 81, false),
            (["-10.0.0.0/8", "+10.0.0.0/9", "-*"], 80, false),
            (["+192.0.2.1", "-*"], 80, true),
            (["-2001:db8::1", "+2001:db8::/127", "-*"], 80, true),
            (["-2001:db8::/127", "+2001:db8::1", "-*"], 80, false),
        ] as [([String], UInt16, Bool)])
    func `whether a name is worth resolving is known from the rules alone`(
        rules: [String], port: UInt16, someAddress: Bool
    ) throws {
        #expect(try Self.policy(rules).permitsSomeAddress(port: port) == someAddress)
    }

    @Test func `many rules are looked through quickly`() throws {
        let rules = (0..<256).map { "-2001:db8:\(String($0, radix: 16))::/48" } + ["+2001:db8::/32", "-*"]
        let policy = try Self.policy(rules)
        let elapsed = ContinuousClock().measure { #expect(policy.permitsSomeAddress(port: 80)) }
        #expect(elapsed < .seconds(1))
    }

    @Test(arguments: [
        (EgressPreset.internet, "93.184.216.34", true), (.internet, "203.0.113.9", true),
        (.internet, "2606:4700::1111", true), (.internet, "127.0.0.1", false), (.internet, "::1", false),
        (.internet, "0.0.0.0", false), (.internet, "10.1.2.3", false), (.internet, "100.64.0.1", false),
        (.internet, "fd12::1", false), (.internet, "ff02::1", false), (.internet, "255.255.255.255", false),
        (.internet, "::ffff:192.168.0.1", false), (.internet, "64:ff9b::10.0.0.1", false),
        (.internet, "168.63.129.16", false),
        (.lan, "10.1.2.3", true), (.lan, "192.168.0.1", true), (.lan, "fd12::1", true), (.lan, "93.184.216.34", false),
        (.lan, "127.0.0.1", false), (.lan, "::1", false), (.lan, "169.254.169.254", false),
        (.lan, "fd00:ec2::254", false),
        (.all, "127.0.0.1", true), (.all, "169.254.169.254", false),
    ])
    func `a preset says in one word what is allowed`(preset: EgressPreset, address: String, permitted: Bool) throws {
        let policy = EgressPolicy([], preset: preset)
        #expect(policy.permits(try #require(IPAddress(parsing: address)), port: 80) == permitted)
    }

    @Test func `public addresses behind a local NAT64 are not part of the local network`() throws {
        let prefix = try #require(NAT64Prefix(try AddressBlock(parsing: "fd00:64::/96")))
        let policy = EgressPolicy([], preset: .lan, nat64: [prefix])
        #expect(!policy.permits(try #require(IPAddress(parsing: "fd00:64::93.184.216.34")), port: 80))
        #expect(policy.permits(try #require(IPAddress(parsing: "fd00:64::10.0.0.1")), port: 80))
        #expect(policy.permits(try #require(IPAddress(parsing: "fd00:65::1")), port: 80))
    }

    @Test func `rules come before a preset`() throws {
        let rules = [
            try EgressRule(.allow, parsing: "127.0.0.1:5432"), try EgressRule(.deny, parsing: "203.0.113.0/24"),
        ]
        let policy = EgressPolicy(rules, preset: .internet)
        let loopback = try #require(IPAddress(parsing: "127.0.0.1"))
        #expect(policy.permits(loopback, port: 5432) && !policy.permits(loopback, port: 80))
        #expect(!policy.permits(try #require(IPAddress(parsing: "203.0.113.1")), port: 80))
    }

    @Test(
        arguments: [
            (["-10.0.0.0/8"], [], "10.0.0.1", false), (["-10.0.0.0/8"], ["10.1.0.0/16"], "10.1.0.1", true),
            (["+10.2.0.0/16", "-10.0.0.0/8"], [], "10.2.0.1", true), ([], [], "169.254.169.254", false),
            ([], ["169.254.0.0/16"], "169.254.1.1", true), (["+10.1.0.0/16:443", "-*"], [], "203.0.113.1", true),
            (["-0.0.0.0/0", "-::/0"], [], "203.0.113.1", true),
        ] as [([String], [String], String, Bool)])
    func `direct paths may lead where targets may be, and where exceptions say`(
        rules: [String], exceptions: [String], address: String, permitted: Bool
    ) throws {
        let policy = EgressPolicy.candidates(
            try rules.map { try EgressRule($0.hasPrefix("+") ? .allow : .deny, parsing: String($0.dropFirst())) },
            exceptions: try exceptions.map { try AddressBlock(parsing: $0) })
        #expect(policy.permits(try #require(IPAddress(parsing: address)), port: 40_000) == permitted)
    }
}
