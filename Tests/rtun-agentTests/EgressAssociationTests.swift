import Basics
import FlowLedger
import NIOCore
import NameResolution
import PeerTestSupport
import Testing
import Tunnel
import UDPAssociation

@testable import PeerChannel
@testable import rtun_agent

/// An association at the agent, in a tunnel in memory.
@Suite struct EgressAssociationTests {
    /// Counts what the association asks of its tunnel.
    private final class Host: AssociationHost {
        let rules: EgressRules
        let eventLoop: any EventLoop
        var owner: ObjectIdentifier { ObjectIdentifier(self) }
        var lookups = 0
        var drops: [AssociationDrop] = []

        init(_ rules: EgressRules, _ eventLoop: any EventLoop) {
            self.rules = rules
            self.eventLoop = eventLoop
        }

        var names: NameResolver {
            self.lookups += 1
            return .shared
        }
        func socket(_ family: IPAddress.Family, of association: EgressAssociation) -> AssociationSocket? { nil }
        func answered(_ key: AssociationSocketKey) {}
        func failed(_ socket: AssociationSocket, _ error: (any Error)?) {}
        func dropped(_ reason: AssociationDrop, _ count: Int, _ endpoint: Endpoint?) { self.drops.append(reason) }
        func ended(_ association: EgressAssociation, _ outcome: FlowOutcome) {}
    }

    @Test(arguments: [
        ("", 1, [AssociationDrop.name, .name]), ("allow=198.51.100.0/24", 1, [.name, .name]),
        ("deny=*", 0, [.policy, .policy]), ("allow=198.51.100.0/24:443", 0, [.policy, .policy]),
    ])
    func `a name is looked up only where the client's line lets some address be`(
        line: String, lookups: Int, drops: [AssociationDrop]
    ) throws {
        let pair = try CarrierPair(delay: .milliseconds(10)) {
            try QUICTunnel(
                PeerCarrierContext(side: $0, peerFingerprint: $1, configuration: $2, eventLoop: $3, path: $4))
        }
        try #require(pair.connect())
        var accepted: TunnelAssociation?
        pair.agent.associationRequested = {
            accepted = $0
            return nil
        }
        pair.client.openAssociation(timeout: .seconds(5)) { _ in }
        pair.eventLoop.advanceTime(by: .milliseconds(200))
        let association = try #require(accepted)

        let key = "SHA256:" + String(repeating: "A", count: 43)
        let rule = try ClientRule(parsing: KeyLines(parsing: Array("\(key) \(line)".utf8)).lines[0])
        let client = Client(.session(1), rule: rule, rules: EgressRules(targets: EgressPolicy([])))
        let host = Host(client.rules, pair.eventLoop)
        let egress = EgressAssociation(association, host: host)
        // A name that nobody is asked for (RFC 6761 §6.4).
        let endpoint = Endpoint(host: .name("host.invalid"), port: 53)
        for number in 0..<2 as Range<UInt8> {
            egress.association(association, received: ByteBuffer(bytes: [number]), with: endpoint)
            pair.eventLoop.run()
        }
        #expect(host.lookups == lookups)
        #expect(host.drops == drops)
        egress.close()
    }
}
