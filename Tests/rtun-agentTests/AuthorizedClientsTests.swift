import Basics
import CommandSupport
import NIOCore
import TestSupport
import Testing

@testable import rtun_agent

@Suite struct AuthorizedClientsTests {
    private static let one = "SHA256:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
    private static let two = "SHA256:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"

    private func parse(_ text: String) throws(KeyLineError) -> AuthorizedClients {
        try AuthorizedClients(parsing: Array(text.utf8))
    }

    private func rule(_ options: String) throws -> ClientRule {
        try #require(try self.parse("\(Self.one) \(options)").rules.values.first)
    }

    @Test func `a line is a key, what it may do, and a comment`() throws {
        let list = try self.parse(
            """
            \u{FEFF}# our clients\r
            \(Self.one) laptop of Ada\r

              \(Self.two) allow=10.1.0.0/16:443,8000-8999 deny=10.2.0.1 allow=2001:db8::/32 max-streams=64 # build server
            """)
        #expect(list.rules.count == 2)
        let first = try #require(CertificateFingerprint(parsing: Self.one))
        #expect(list.rules[first] == ClientRule(key: first, rules: [], maximumStreams: nil))
        let second = try #require(CertificateFingerprint(parsing: Self.two).flatMap { list.rules[$0] })
        #expect(second.maximumStreams == 64)
        #expect(
            second.rules == [
                try EgressRule(.allow, parsing: "10.1.0.0/16:443,8000-8999"),
                try EgressRule(.deny, parsing: "10.2.0.1"),
                try EgressRule(.allow, parsing: "2001:db8::/32"),
            ])
        #expect(try self.parse("# nobody\n").rules.isEmpty)
    }

    @Test(arguments: [
        ("SHA256:AQEB", 1, "43"), ("\n\(one) allow=10.0.0.1/8", 2, "bits set behind its prefix"),
        ("\(one) allow=example.org", 1, "IP address"), ("\(one) allow=", 1, "allow="),
        ("\(one) allow=10.0.0.0/8:0", 1, "ports"), ("\(one) max-streams=0", 1, "max-streams=64"),
        ("\(one) max-streams=-1", 1, "max-streams=64"),
        ("\(one) max-streams=99999999999999999999", 1, "max-streams=64"),
        ("\(one) max-streams=1 max-streams=2", 1, "twice"), ("\(one) alow=10.0.0.0/8", 1, "alow= is unknown"),
        ("\(one)\n\(two)\n\(one) allow=*", 3, "line 1"), ("laptop \(one)", 1, "no key"),
    ])
    func `a wrong line is named, with what is wrong`(text: String, line: Int, words: String) throws {
        let error = try #require(throws: KeyLineError.self) { try self.parse(text) }
        #expect(error.line == line && error.problem.contains(words), "\(error)")
    }

    @Test func `a file that cannot be read ends the start with 69, a wrong one with 78`() throws {
        let folder = try TestFolder()
        let missing = #expect(throws: ProgramError.self) { try AuthorizedClients(file: folder.file("missing")) }
        #expect(missing?.status == .unavailable)
        let path = try folder.write("wrong", "\n\nSHA256:short\n")
        let wrong = #expect(throws: ProgramError.self) { try AuthorizedClients(file: path) }
        #expect(wrong?.status == .configuration && wrong?.message.contains("\(path):3: ") == true)
    }

    @Test(arguments: [
        // The agent's rules, the client's, target, port, whether it may go there
        ([], "", "192.0.2.1", 80, true), ([], "", "169.254.169.254", 80, false),
        ([], "allow=10.1.0.0/16:443", "10.1.2.3", 443, true), ([], "allow=10.1.0.0/16:443", "10.1.2.3", 80, false),
        ([], "allow=10.1.0.0/16:443", "10.2.2.3", 443, false), ([], "allow=10.1.0.0/16:443", "::1", 443, false),
        ([], "allow=10.1.0.0/16", "::ffff:10.1.0.1", 443, true),
        ([], "allow=10.1.0.0/16", "64:ff9b::10.1.0.1", 443, false),
        ([], "allow=127.0.0.0/8", "0.0.0.0", 80, true), ([], "allow=10.0.0.0/8", "0.0.0.0", 80, false),
        // What it allows itself the agent need not.
        ([], "allow=169.254.169.254 allow=*", "169.254.169.254", 80, false),
        (["-10.1.0.0/16"], "allow=10.0.0.0/8", "10.1.0.1", 80, false),
        (["-10.1.0.0/16"], "allow=10.0.0.0/8", "10.2.0.1", 80, true),
        (["+10.1.0.0/16", "-*"], "allow=10.0.0.0/8", "10.2.0.1", 80, false),
        // What the agent allows beyond its defaults a client with a mere prohibition has, too.
        (["+169.254.169.254"], "deny=10.0.0.0/8", "169.254.169.254", 80, true),
        ([], "deny=10.0.0.0/8", "10.1.0.1", 80, false), ([], "deny=10.0.0.0/8", "192.0.2.1", 80, true),
        ([], "deny=10.0.0.0/8", "64:ff9b::10.1.0.1", 80, false),
        // The first that matches decides, in the order of the line.
        ([], "deny=10.1.0.1 allow=10.1.0.0/16", "10.1.0.1", 80, false),
        ([], "allow=10.1.0.0/16 deny=10.1.0.1", "10.1.0.1", 80, true),
    ])
    func `a client goes where both its line and the agent let it`(
        rules: [String], options: String, target: String, port: UInt16, isPermitted: Bool
    ) throws {
        let policy = EgressPolicy(
            try rules.map { try EgressRule($0.hasPrefix("+") ? .allow : .deny, parsing: String($0.dropFirst())) })
        let common = EgressRules(targets: policy)
        let client = Client(.session(1), rule: try self.rule(options), rules: common)
        let address = try #require(IPAddress(parsing: target))
        #expect(client.rules.policy.permits(address, port: port) == isPermitted)
        if isPermitted { #expect(client.rules.policy.permitsSomeAddress(port: port)) }
    }

    @Test func `a prohibition of an IPv4 address holds behind the agent's translator, too`() throws {
        let prefix = try #require(NAT64Prefix(try AddressBlock(parsing: "2001:db8:64::/96")))
        let common = EgressRules(targets: EgressPolicy([], nat64: [prefix]))
        let client = Client(.session(1), rule: try self.rule("deny=10.0.0.0/8"), rules: common)
        let address = try #require(IPAddress(parsing: "2001:db8:64::10.0.0.1"))
        #expect(!client.rules.policy.permits(address, port: 80))
    }

    @Test(arguments: [
        (["+10.0.0.0/8", "-*"], "allow=192.168.0.0/16", false), (["+10.0.0.0/8", "-*"], "allow=10.5.0.0/16", true),
        (["-10.0.0.0/9"], "allow=10.0.0.0/8", true), (["-10.0.0.0/9", "-10.128.0.0/9"], "allow=10.0.0.0/8", false),
        (["-10.0.0.0/9"], "deny=10.128.0.0/9 allow=10.0.0.0/8", false), ([], "allow=10.0.0.0/8:443", false),
        ([], "deny=*", false),
    ])
    func `names are looked up only where some address may be gone to`(rules: [String], options: String, isSome: Bool)
        throws
    {
        let policy = EgressPolicy(
            try rules.map { try EgressRule($0.hasPrefix("+") ? .allow : .deny, parsing: String($0.dropFirst())) })
        let client = Client(.session(1), rule: try self.rule(options), rules: EgressRules(targets: policy))
        #expect(client.rules.policy.permitsSomeAddress(port: 80) == isSome)
    }

    @Test func `what is open is judged by the client's own rules, behind the agent's translator, too`() throws {
        let prefix = try #require(NAT64Prefix(try AddressBlock(parsing: "2001:db8:64::/96")))
        let narrowed = EgressPolicy([try EgressRule(.deny, parsing: "192.0.2.0/24")], nat64: [prefix])
        let common = EgressRules(targets: narrowed)
        func permits(_ line: String?, _ address: String) throws -> Bool {
            let client = Client(.session(1), rule: try line.map { try self.rule($0) }, rules: common)
            return client.rules.ownPermit(try SocketAddress(ipAddress: address, port: 80))
        }
        // The agent's own rules have been narrowed since.
        #expect(try permits(nil, "192.0.2.1") && permits("max-streams=9", "192.0.2.1"))
        #expect(try permits("allow=192.0.2.0/24", "192.0.2.1") && !permits("deny=192.0.2.0/24", "192.0.2.1"))
        #expect(try !permits("allow=192.0.2.0/24", "198.51.100.1"))
        #expect(try !permits("deny=10.0.0.0/8", "2001:db8:64::10.0.0.1"))
    }

    @Test func `changes of either rules are seen, and tell that decisions are old`() throws {
        let common = EgressRules(targets: EgressPolicy([]))
        let client = Client(.session(1), rule: nil, rules: common)
        let address = try #require(IPAddress(parsing: "10.0.0.1"))
        var generations = [client.rules.generation]
        client.change(to: try self.rule("deny=10.0.0.0/8 max-streams=2"))
        #expect(!client.rules.policy.permits(address, port: 80) && client.maximumStreams == 2)
        generations.append(client.rules.generation)
        client.change(to: try self.rule(""))
        #expect(client.rules.policy.permits(address, port: 80) && client.maximumStreams == .max)
        generations.append(client.rules.generation)
        common.change(to: try EgressOptions.parse(["--deny", "10.0.0.0/8"]))
        #expect(!client.rules.policy.permits(address, port: 80))
        generations.append(client.rules.generation)
        #expect(Set(generations).count == 4)
    }
}
