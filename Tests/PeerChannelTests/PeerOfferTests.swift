import AppProto
import NIOCore
import Testing

@testable import PeerChannel

struct PeerOfferTests {
    private let key = [UInt8](repeating: 1, count: 32)
    private let otherKey = [UInt8](repeating: 2, count: 32)

    private func offer(signedBy key: [UInt8]?) throws -> OpenPeer {
        var offer = OpenPeer(
            peerID: try #require(PeerID(bytes: Array(0..<16))), name: "office",
            instanceID: try #require(InstanceID(rawValue: String(repeating: "a1", count: 16))),
            ice: IceParameters(ufrag: "abcd", pwd: String(repeating: "p", count: 22)),
            fingerprint: [UInt8](repeating: 9, count: 32), kind: .quicTunnel)
        offer.e2eMAC = key.map { PeerOffer.mac(of: offer, key: $0) } ?? []
        return offer
    }

    private func answer(to offer: OpenPeer, signedBy key: [UInt8]?) -> OpenPeerReply {
        var answer = OpenPeerReply(
            peerID: offer.peerID, ice: IceParameters(ufrag: "efgh", pwd: String(repeating: "q", count: 22)),
            fingerprint: [UInt8](repeating: 8, count: 32))
        answer.e2eMAC = key.map { PeerOffer.mac(of: answer, offerMAC: offer.e2eMAC, key: $0) } ?? []
        return answer
    }

    @Test func `an offer and its answer prove the same secret`() throws {
        let offer = try self.offer(signedBy: self.key)
        #expect(throws: Never.self) { try PeerOffer.verify(offer, key: self.key) }
        let answer = self.answer(to: offer, signedBy: self.key)
        #expect(throws: Never.self) { try PeerOffer.verify(answer, offerMAC: offer.e2eMAC, key: self.key) }
    }

    @Test func `without a secret of its own nobody asks for a proof`() throws {
        #expect(throws: Never.self) { try PeerOffer.verify(self.offer(signedBy: self.key), key: nil) }
        #expect(throws: Never.self) { try PeerOffer.verify(self.offer(signedBy: nil), key: nil) }
    }

    @Test func `an offer without proof, or of another secret, is refused`() throws {
        #expect(throws: PeerChannelError.self) { try PeerOffer.verify(self.offer(signedBy: nil), key: self.key) }
        #expect(throws: PeerChannelError.self) {
            try PeerOffer.verify(self.offer(signedBy: self.otherKey), key: self.key)
        }
    }

    @Test func `an answer to another offer is refused`() throws {
        let offer = try self.offer(signedBy: self.key)
        var other = offer
        other.ice.ufrag = "wxyz"
        other.e2eMAC = PeerOffer.mac(of: other, key: self.key)
        let answer = self.answer(to: other, signedBy: self.key)
        #expect(throws: PeerChannelError.self) {
            try PeerOffer.verify(answer, offerMAC: offer.e2eMAC, key: self.key)
        }
    }

    @Test(arguments: 0..<7) func `every field of an offer is covered`(field: Int) throws {
        var offer = try self.offer(signedBy: self.key)
        switch field {
        case 0: offer.peerID = .random()
        case 1: offer.name = "offic"
        case 2: offer.instanceID = try #require(InstanceID(rawValue: String(repeating: "b1", count: 16)))
        case 3: offer.ice.ufrag = "abce"
        case 4: offer.ice.pwd = String(repeating: "r", count: 22)
        case 5: offer.fingerprint[31] = 0
        default: offer.kind = nil
        }
        #expect(throws: PeerChannelError.self) { try PeerOffer.verify(offer, key: self.key) }
    }

    @Test(arguments: 0..<4) func `every field of a relay's wishes is covered`(field: Int) throws {
        var offer = try self.offer(signedBy: nil)
        var relay = UdpRelay(
            target: try SocketAddress(ipAddress: "192.0.2.1", port: 53), idleTimeout: .seconds(120),
            maximumPayload: 1200)
        offer.kind = .udpRelay(relay)
        offer.e2eMAC = PeerOffer.mac(of: offer, key: self.key)
        #expect(throws: Never.self) { try PeerOffer.verify(offer, key: self.key) }
        switch field {
        case 0: relay.target = try SocketAddress(ipAddress: "192.0.2.2", port: 53)
        case 1: relay.target = try SocketAddress(ipAddress: "192.0.2.1", port: 54)
        case 2: relay.idleTimeout = .seconds(121)
        default: relay.maximumPayload = nil
        }
        offer.kind = .udpRelay(relay)
        #expect(throws: PeerChannelError.self) { try PeerOffer.verify(offer, key: self.key) }
    }

    @Test func `bytes cannot move from one field to the next`() throws {
        var offer = try self.offer(signedBy: self.key)
        offer.ice.ufrag = "abcdp"
        offer.ice.pwd = String(repeating: "p", count: 21)
        #expect(throws: PeerChannelError.self) { try PeerOffer.verify(offer, key: self.key) }
    }

    @Test func `candidates are not covered`() throws {
        var offer = try self.offer(signedBy: self.key)
        offer.candidates = [
            Candidate(
                type: .host, foundation: "1", priority: 1, address: try SocketAddress(ipAddress: "192.0.2.1", port: 9))
        ]
        #expect(throws: Never.self) { try PeerOffer.verify(offer, key: self.key) }
    }

    @Test func `an offer does not pass as an answer`() throws {
        let offer = try self.offer(signedBy: self.key)
        var answer = self.answer(to: offer, signedBy: nil)
        answer.ice = offer.ice
        answer.fingerprint = offer.fingerprint
        answer.e2eMAC = offer.e2eMAC
        #expect(throws: PeerChannelError.self) {
            try PeerOffer.verify(answer, offerMAC: offer.e2eMAC, key: self.key)
        }
    }
}
