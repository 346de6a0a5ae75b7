import AppProto
import Basics
import NIOCore
import Testing

@testable import rtun_agent

@Suite struct ClientTableTests {
    private static let rules = EgressRules(targets: EgressPolicy([]))

    private static func key(_ number: UInt8) -> CertificateFingerprint {
        guard let key = CertificateFingerprint(bytes: [UInt8](repeating: number, count: 32)) else {
            preconditionFailure("it has 32 bytes")
        }
        return key
    }

    /// What the server says of who makes an offer.
    enum Stamp: Sendable {
        case none
        case withoutKey
        case key(UInt8, isKept: Bool)

        var stamp: ClientStamp? {
            switch self {
            case .none: nil
            case .withoutKey: ClientStamp(session: 9, key: nil)
            case .key(let number, let isKept):
                ClientStamp(session: 9, key: ProvedKey(fingerprint: ClientTableTests.key(number), isKept: isKept))
            }
        }
    }

    private func offer(of number: UInt8, _ stamp: Stamp) -> OpenPeer {
        var offer = OpenPeer(
            peerID: .random(), name: "one", instanceID: .random(),
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"), fingerprint: Self.key(number).bytes,
            kind: .quicTunnel)
        offer.client = stamp.stamp
        return offer
    }

    @Test(arguments: [
        (Stamp.key(1, isKept: true), ClientID.key(key(1)), true), (.key(1, isKept: false), .session(9), false),
        (.withoutKey, .session(9), false),
    ])
    func `a client is its kept key, else its control connection`(stamp: Stamp, id: ClientID, isKnown: Bool) throws {
        let table = ClientTable(nil, rules: Self.rules)
        let admission = try table.admission(of: self.offer(of: 1, stamp))
        #expect(admission.id == id && admission.payer == id && id.isKnown == isKnown)
        #expect("\(id)" == (isKnown ? "\(Self.key(1))" : "session 0000000000000009"))
    }

    @Test func `offers from an older server are each a client`() throws {
        let table = ClientTable(nil, rules: Self.rules)
        let offers = [self.offer(of: 1, .none), self.offer(of: 1, .none)]
        let ids = try offers.map { try table.admission(of: $0).id }
        #expect(ids == offers.map { .channel($0.peerID) })
    }

    @Test func `an offer of another key than the server says is refused, be there a list or not`() throws {
        let list = try AuthorizedClients(parsing: Array("\(Self.key(1))\n\(Self.key(2))".utf8))
        for table in [ClientTable(nil, rules: Self.rules), ClientTable(list, rules: Self.rules)] {
            #expect(throws: PeerRefusal.keyMismatch(Self.key(2), offered: Self.key(1))) {
                try table.admission(of: self.offer(of: 1, .key(2, isKept: true)))
            }
        }
    }

    @Test(arguments: [
        (Stamp.key(1, isKept: false), ClientID.key(key(1))), (.key(1, isKept: true), .key(key(1))),
        // Its key is proved by nobody yet: the share of the one who has it is not for spending.
        (.withoutKey, .session(9)), (.none, .key(key(1))),
    ])
    func `a listed client is its key, whatever the server says`(stamp: Stamp, payer: ClientID) throws {
        var table = ClientTable(
            try AuthorizedClients(parsing: Array("\(Self.key(1)) max-streams=7".utf8)), rules: Self.rules)
        let admission = try table.admission(of: self.offer(of: 1, stamp))
        #expect(admission.id == .key(Self.key(1)) && admission.payer == payer)
        let client = table.enter(admission).client
        #expect(client.maximumStreams == 7)
    }

    @Test(arguments: [
        (Stamp.key(2, isKept: true), FailureCode.clientUnknown), (.withoutKey, .clientUnknown), (.none, .refused),
    ])
    func `a key that is not listed is refused, in words that older programs understand`(
        stamp: Stamp, code: FailureCode
    ) throws {
        let table = ClientTable(try AuthorizedClients(parsing: Array("\(Self.key(1))".utf8)), rules: Self.rules)
        let refusal = try #require(throws: PeerRefusal.self) { try table.admission(of: self.offer(of: 2, stamp)) }
        #expect(refusal.reason == .keyUnknown && refusal.failure.code == code)
        #expect(refusal.failure.reason.contains("\(Self.key(2))"))
    }

    @Test func `a client is one for as long as it has channels`() throws {
        var table = ClientTable(nil, rules: Self.rules)
        let admission = try table.admission(of: self.offer(of: 1, .key(1, isKept: true)))
        let clients = [table.enter(admission).client, table.enter(admission).client]
        #expect(clients[0] === clients[1] && table.count == 1)
        table.leave(admission)
        #expect(table.count == 1)
        let again = table.enter(admission).client
        #expect(again === clients[0])
        for _ in 0..<3 { table.leave(admission) }
        #expect(table.count == 0)
    }

    @Test func `who only names a listed key is another payer than who has proved it, and the same client`() throws {
        let list = try AuthorizedClients(parsing: Array("\(Self.key(1))".utf8))
        var table = ClientTable(list, rules: Self.rules)
        let stamps = [Stamp.withoutKey, .key(1, isKept: true), .key(1, isKept: false), .withoutKey]
        let entries = try stamps.map { table.enter(try table.admission(of: self.offer(of: 1, $0))) }
        #expect(entries.allSatisfy { $0.client === entries[0].client })
        #expect(entries[0].payer === entries[3].payer && entries[1].payer === entries[2].payer)
        #expect(entries[0].payer !== entries[1].payer)
    }

    @Test func `a change of the list names whose lines are others`() throws {
        func list(_ lines: String...) throws -> AuthorizedClients {
            try AuthorizedClients(parsing: Array(lines.joined(separator: "\n").utf8))
        }
        let keys = (1...4).map { Self.key($0) }
        var table = ClientTable(
            try list("\(keys[0]) allow=10.0.0.0/8", "\(keys[1])", "\(keys[2])"), rules: Self.rules)
        let changed = table.change(
            to: try list("\(keys[3])", "\(keys[1]) deny=10.0.0.0/8", "\(keys[0]) allow=10.0.0.0/8 office"))
        #expect(changed == [keys[1], keys[3]])
    }

    @Test func `refusals are told now and then, whoever they are of`() {
        var notices = RefusalNotices()
        let now = NIODeadline.uptimeNanoseconds(1)
        #expect(notices.occurred(.keyUnknown, of: Self.key(1), at: now) == 1)
        for _ in 0..<1000 { #expect(notices.occurred(.keyUnknown, of: Self.key(1), at: now) == nil) }
        #expect(notices.occurred(.share, of: Self.key(1), at: now) == 1)
        #expect(notices.occurred(.keyUnknown, of: Self.key(1), at: now + .minutes(1)) == 1001)
        var lines = 0
        for number in 0..<10_000 {
            let key = CertificateFingerprint(bytes: (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 % 2 * 8)) })
            if notices.occurred(.keyUnknown, of: key, at: now + .minutes(2)) != nil { lines += 1 }
        }
        #expect(lines == 20)
    }
}
