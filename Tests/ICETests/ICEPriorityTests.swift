import NIOCore
import STUN
import TestSupport
import Testing

@testable import ICE

@Suite struct `ICE formulas` {
    @Test(arguments: [
        (ICECandidate.Kind.host, UInt16(65535), UInt32(2_130_706_431)),
        (.serverReflexive, 65535, 1_694_498_815),
        (.peerReflexive, 65535, 1_862_270_975),
        (.relayed, 65535, 16_777_215),
        (.host, 0, 2_113_929_471),
    ])
    func `candidate priorities are those of RFC 8445 §5.1.2.1`(
        kind: ICECandidate.Kind, localPreference: UInt16, expected: UInt32
    ) {
        #expect(ICEPriority.candidate(kind, localPreference: localPreference) == expected)
        #expect(ICEPriority.localPreference(of: expected) == localPreference)
    }

    @Test func `local preference ranks interfaces, and IPv6 over IPv4 within each`() throws {
        let v4 = try address("192.0.2.1", 1)
        let v6 = try address("2001:db8::1", 1)
        let ranked = [
            ICEPriority.localPreference(interfaceIndex: 0, address: v6),
            ICEPriority.localPreference(interfaceIndex: 0, address: v4),
            ICEPriority.localPreference(interfaceIndex: 1, address: v6),
            ICEPriority.localPreference(interfaceIndex: 1, address: v4),
        ]
        #expect(ranked == [65535, 65534, 65533, 65532])
        #expect(ICEPriority.localPreference(interfaceIndex: .max, address: v4) == 0)
        #expect(ICEPriority.localPreference(interfaceIndex: -5, address: v6) == 65535)
    }

    @Test(arguments: [
        (UInt32(1), UInt32(2), UInt64(4_294_967_300)),
        (2, 1, 4_294_967_301),
        (3, 3, 12_884_901_894),
        (2_130_706_431, 1_694_498_815, 7_277_816_997_797_167_103),
        (0, 0, 0),
        (.max, .max, .max),
        (.max, .max - 1, .max),
        (.max - 1, .max, .max - 1),
    ])
    func `pair priorities are those of RFC 8445 §6.1.2.3`(
        controlling: UInt32, controlled: UInt32, expected: UInt64
    ) {
        #expect(ICEPriority.pair(controlling: controlling, controlled: controlled) == expected)
    }

    @Test func `foundations are shared by kind, base address and server`() throws {
        let a = try address("192.0.2.1", 1)
        let otherPort = try address("192.0.2.1", 2)
        let b = try address("192.0.2.2", 1)
        let server = try address("198.51.100.1", 3478)
        let host = ICEPriority.foundation(.host, base: a, server: nil)
        #expect(host == ICEPriority.foundation(.host, base: otherPort, server: nil))
        #expect(host != ICEPriority.foundation(.host, base: b, server: nil))
        #expect(host != ICEPriority.foundation(.serverReflexive, base: a, server: server))
        #expect(
            ICEPriority.foundation(.serverReflexive, base: a, server: server)
                != ICEPriority.foundation(.serverReflexive, base: a, server: b))
        #expect(1...32 ~= host.utf8.count && host.utf8.allSatisfy(ICECredentials.isICEChar))
    }
}

@Suite struct `ICE credentials` {
    @Test func `fresh ones are valid and differ`() throws {
        let a = ICECredentials.random()
        let b = ICECredentials.random()
        #expect(a != b)
        #expect(try ICECredentials(ufrag: a.ufrag, pwd: a.pwd) == a)
        #expect(a.ufrag.utf8.count == 8 && a.pwd.utf8.count == 24)
        #expect(!"\(a)".contains(a.pwd) && !String(reflecting: a).contains(a.pwd))
    }

    static let password = String(repeating: "p", count: 22)

    @Test(arguments: [
        ("abc", password, ICEError.invalidUsernameFragment),
        (String(repeating: "a", count: 257), password, .invalidUsernameFragment),
        ("ab:c", password, .invalidUsernameFragment),
        ("äbc", password, .invalidUsernameFragment),
        ("abcd", String(repeating: "p", count: 21), .invalidPassword),
        ("abcd", String(repeating: "p", count: 257), .invalidPassword),
        ("abcd", password + "\n", .invalidPassword),
    ])
    func `bad ones are refused`(ufrag: String, pwd: String, error: ICEError) {
        #expect(throws: error) { try ICECredentials(ufrag: ufrag, pwd: pwd) }
    }

    @Test func `the longest are accepted, and their user names fit into a check`() throws {
        let longest = String(repeating: "a", count: 256)
        let ours = try ICECredentials(ufrag: longest, pwd: longest)
        let peer = try ICECredentials(ufrag: longest, pwd: longest)
        var agent = ICEAgent(role: .controlling, local: ours, hmacSHA1: realHMAC, random: SeededGenerator(1))
        let now = NIODeadline.uptimeNanoseconds(1)
        agent.addLocalCandidate(
            .host(address: try address("192.0.2.1", 1), base: LocalBaseID(0), interfaceIndex: 0), at: now)
        agent.addRemoteCandidate(
            ICECandidate(kind: .host, foundation: "1", priority: 1, address: try address("192.0.2.2", 1)), at: now)
        agent.setRemote(credentials: peer, at: now)
        let sent = agent.drainTransmits()
        let request = try #require(sent.first).payload
        #expect(try ReceivedSTUNMessage(decoding: request).message.username?.utf8.count == 513)
    }
}
