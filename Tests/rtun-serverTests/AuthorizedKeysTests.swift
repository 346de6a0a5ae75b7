import AppProto
import Basics
import NIOCore
import Testing

@testable import rtun_server

@Suite struct AuthorizedKeysTests {
    static func key(_ number: UInt8) throws -> CertificateFingerprint {
        try #require(CertificateFingerprint(bytes: [UInt8](repeating: number, count: 32)))
    }

    /// `K1` stands for the first key, and so on.
    static func keys(_ text: String) throws -> AuthorizedKeys {
        var text = text
        for number in 1...9 { text = text.replacing("K\(number)", with: "\(try Self.key(UInt8(number)))") }
        return try AuthorizedKeys(parsing: Array(text.utf8))
    }

    private static let sample = """
        # agents
        agent office K1 the old box
        agent home K1
        agent my box K2\r
        agent home-office K3

        client K4
        client K5 agents=home.* laptop
        client K6 agents=office
        client K6 agents=my.box|other # both
        client K1 agents=office
        client K4 again
        client K6 agents=office
        """

    @Test func `names of agents and keys of clients are counted once`() throws {
        let keys = try Self.keys(Self.sample)
        #expect(keys.agentCount == 4 && keys.clientCount == 4)
        #expect(try Self.keys("").agentCount == 0)
    }

    @Test(
        arguments: [
            (4, ["office", "home", "my box", "home-office"]), (5, ["home", "home-office"]), (6, ["office", "my box"]),
            (1, ["office"]), (2, []), (7, []),
        ] as [(UInt8, Set<String>)])
    func `a client may use the agents that all its lines name`(number: UInt8, names: Set<String>) throws {
        let keys = try Self.keys(Self.sample)
        let key = try Self.key(number)
        // One that is not in the file is no agent.
        let all: Set = ["office", "home", "my box", "home-office", "other", "homeless"]
        #expect(all.filter { keys.lets(key, use: $0) } == names)
        #expect(keys.letsUseAll(key) == (number == 4))
        #expect(try keys.lets(key, useAgentWith: Self.key(1)) == !names.isDisjoint(with: ["office", "home"]))
        #expect(try keys.lets(key, useAgentWith: Self.key(2)) == names.contains("my box"))
        #expect(try !keys.lets(key, useAgentWith: Self.key(9)))
    }

    private enum Verdict: Equatable {
        case allowed
        case refused(KeyRefusal.Reason, GoodbyeCode)
    }

    @Test(
        arguments: [
            (.agent(name: "office"), 1, .allowed), (.agent(name: "home"), 1, .allowed),
            (.agent(name: "my box"), 2, .allowed),
            (.agent(name: "office"), 2, .refused(.nameNotYours, .nameHeld)),
            (.agent(name: "new"), 1, .refused(.nameNotYours, .nameHeld)),
            (.agent(name: "office"), 4, .refused(.keyUnknown, .keyUnknown)),
            (.agent(name: "office"), 9, .refused(.keyUnknown, .keyUnknown)),
            (.agent(name: "office"), nil, .refused(.withoutIdentity, .auth)),
            (.client, 4, .allowed), (.client, 5, .allowed), (.client, 1, .allowed),
            (.client, 2, .refused(.keyUnknown, .keyUnknown)), (.client, 9, .refused(.keyUnknown, .keyUnknown)),
            (.client, nil, .refused(.withoutIdentity, .auth)),
            (.agentCheck, 1, .allowed), (.agentCheck, 4, .refused(.keyUnknown, .keyUnknown)),
            (.agentCheck, nil, .refused(.withoutIdentity, .auth)),
        ] as [(PeerClaim.Role, UInt8?, Verdict)])
    private func `only a listed key gets in, as what it is listed for`(
        role: PeerClaim.Role, number: UInt8?, verdict: Verdict
    ) throws {
        let key = try number.map { ProvedKey(fingerprint: try Self.key($0), isKept: false) }
        let refusal = try Self.keys(Self.sample).refusal(of: PeerClaim(role: role, key: key))
        #expect(refusal.map { .refused($0.reason, $0.goodbye.code) } ?? .allowed == verdict)
        if let key, let refusal { #expect(refusal.goodbye.reason.contains("\(key)")) }
    }

    @Test func `the line that would let a key in is told`() throws {
        let keys = try Self.keys(Self.sample)
        let key = ProvedKey(fingerprint: try Self.key(9), isKept: true)
        for (role, line) in [
            (.agent(name: "my new box"), "agent my new box \(key)"), (.client, "client \(key)"),
        ] as [(PeerClaim.Role, String)] {
            let refusal = try #require(keys.refusal(of: PeerClaim(role: role, key: key)))
            #expect(refusal == .unknown(key.fingerprint, line: line) && refusal.line == line)
            let mended = try AuthorizedKeys(parsing: Array((line + "\n").utf8))
            #expect(mended.refusal(of: PeerClaim(role: role, key: key)) == nil)
        }
    }

    @Test(arguments: [
        ("client K1", "client K1", false), ("client K1 agents=a", "client K1 agents=a", false),
        ("client K1 agents=a", "agent b K2\nclient K1 agents=a comment", false),
        ("client K1 agents=a\nclient K1 agents=b", "client K1 agents=b\nclient K1 agents=a", false),
        ("client K1", "client K2", true), ("client K1", "client K1 agents=a", true),
        ("client K1 agents=a", "client K1 agents=b", true), ("", "client K1", true),
    ])
    func `what a key may use has changed when its lines have`(before: String, after: String, differs: Bool) throws {
        #expect(try Self.keys(after).differs(from: Self.keys(before), for: Self.key(1)) == differs)
    }

    @Test(arguments: [
        (
            "agents office K1",
            "line 1: it begins with neither agent nor client: agent NAME SHA256:..., or client SHA256:... agents=REGEX"
        ),
        (
            "# x\nK1",
            "line 2: it begins with neither agent nor client: agent NAME SHA256:..., or client SHA256:... agents=REGEX"
        ),
        ("agent", "line 1: the agent's name is missing: agent NAME SHA256:..."),
        ("agent K1", "line 1: the agent's name is missing: agent NAME SHA256:..."),
        ("agent office", "line 1: a key is missing: SHA256: and 43 characters, see --print-identity"),
        ("agent office MD5:x", "line 1: 'MD5:x' is no key, which is SHA256: and 43 characters, see --print-identity"),
        (
            "agent office K1 agents=x",
            "line 1: agents= is unknown here; there are no options (a comment like this begins with #)"
        ),
        ("client", "line 1: a key is missing: SHA256: and 43 characters, see --print-identity"),
        ("client office K1", "line 1: 'office' is no key, which is SHA256: and 43 characters, see --print-identity"),
        (
            "client K1 agent=office",
            "line 1: agent= is unknown here; there is agents= (a comment like this begins with #)"
        ),
        ("client K1 laptop agents=office", "line 1: agents= stands behind a comment; put it right behind the key"),
        ("client K1 agents=a agents=b", "line 1: agents= is there twice; write agents=A|B, or a line for each"),
        ("client K1 agents=(a", "line 1: agents= is wrong: '(a' is not a regular expression: expected ')'"),
        (
            "client K1 agents=a\n\nclient K1",
            "line 3: it and line 1 contradict each other: the key may use all agents by one, and some by the "
                + "other; remove one of them"
        ),
        (
            "client K1\nclient K1 agents=a",
            "line 2: it and line 1 contradict each other: the key may use all agents by one, and some by the "
                + "other; remove one of them"
        ),
    ])
    func `a wrong line is told with its number and what would be right`(text: String, problem: String) {
        let error = #expect(throws: KeyLineError.self) { try Self.keys(text) }
        #expect(error?.description == problem)
    }

    @Test func `a name that no agent can have is refused`() {
        let error = #expect(throws: KeyLineError.self) {
            try Self.keys("agent \(String(repeating: "a", count: 256)) K1")
        }
        #expect(error?.description == "line 1: an agent's name has 1 to 255 bytes, and nothing that is not seen")
    }

    @Test(.timeLimit(.minutes(1))) func `as many lines as a file may have are read in time`() throws {
        var text = ""
        for number in 0..<5000 {
            text += "agent agent\(number) \(try Self.key(UInt8(number % 256)))\n"
            text += "client \(try Self.key(UInt8(number % 200))) agents=agent\(number % 50).*\n"
        }
        let keys = try AuthorizedKeys(parsing: Array(text.utf8))
        #expect(keys.agentCount == 5000 && keys.clientCount == 200)
    }

    @Test func `refusals are told ten times at once and then once a second, with the number of those left out`() {
        var refusals = KeyRefusals()
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        for _ in 0..<10 { #expect(refusals.occurred(.keyUnknown, at: start) == 1) }
        for _ in 0..<5 { #expect(refusals.occurred(.nameNotYours, at: start) == nil) }
        #expect(refusals.occurred(.keyUnknown, at: start + .milliseconds(999)) == nil)
        #expect(refusals.occurred(.keyUnknown, at: start + .seconds(1)) == 7)
        #expect(refusals.occurred(.keyUnknown, at: start + .milliseconds(1500)) == nil)
        #expect(refusals.occurred(.keyUnknown, at: start + .seconds(60)) == 2)
        #expect(refusals.counts == [.keyUnknown: 14, .nameNotYours: 5])
    }
}
