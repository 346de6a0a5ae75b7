import AppProto
import Basics
import Logging
import NIOCore
import NIOPosix
import PeerChannel
import TLS
import Testing

@testable import rtun_agent

@Suite struct PeerAcceptorTests {
    /// Stands in for the control connection: what channels say goes nowhere.
    private struct SilentSignaling: PeerSignaling {
        func sendBridge(_ bridge: Bridge) {}
        func sendEvent(_ event: Envelope.Body) {}
    }

    private let configuration: PeerChannelConfiguration
    private let instance = InstanceID.random()

    init() throws {
        var configuration = PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: "test"))
        configuration.loopbackOnly = true
        self.configuration = configuration
    }

    private func acceptor(limit: Int, streams: Int = 1, list: AuthorizedClients? = nil) -> PeerAcceptor {
        let dialer = EgressDialer(policy: EgressPolicy([]))
        return PeerAcceptor(
            maximumPeers: limit, list: list, group: MultiThreadedEventLoopGroup.singleton,
            egress: Egress(dialer: dialer, maximumStreams: streams, maximumFlows: 1), accessLog: nil,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    /// Of a client of its own, unless there is a key, which the client keeps.
    private func offer(
        _ id: PeerID = .random(), key: CertificateFingerprint? = nil, session: UInt64 = 1
    ) throws -> OpenPeer {
        let random = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
        let key = try key ?? #require(CertificateFingerprint(bytes: random))
        var offer = OpenPeer(
            peerID: id, name: "one", instanceID: self.instance,
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"), fingerprint: key.bytes, kind: .quicTunnel)
        offer.client = ClientStamp(session: session, key: ProvedKey(fingerprint: key, isKept: true))
        return offer
    }

    private func key(_ number: UInt8) throws -> CertificateFingerprint {
        try #require(CertificateFingerprint(bytes: [UInt8](repeating: number, count: 32)))
    }

    private func accept(
        _ acceptor: PeerAcceptor, _ offer: OpenPeer, _ configuration: PeerChannelConfiguration? = nil
    ) async throws -> OpenPeerReply {
        try await acceptor.accept(
            offer, configuration: configuration ?? self.configuration, signaling: SilentSignaling()
        ).get()
    }

    @Test func `an offer is answered under its own id`() async throws {
        let acceptor = self.acceptor(limit: 1)
        let offer = try self.offer()
        let reply = try await self.accept(acceptor, offer)
        #expect(reply.peerID == offer.peerID)
        #expect(reply.fingerprint == self.configuration.identity.leafFingerprint.bytes)
        await acceptor.closeAll(reason: "test")
    }

    @Test func `a peer beyond the limit is refused until another one is gone`() async throws {
        let acceptor = self.acceptor(limit: 1)
        _ = try await self.accept(acceptor, try self.offer())
        let error = await #expect(throws: PeerRefusal.self) { try await self.accept(acceptor, try self.offer()) }
        #expect(error?.failure == Failure(code: .refused, reason: "the agent is at its limit of 1 peers"))
        await acceptor.closeAll(reason: "test")
        _ = try await self.accept(acceptor, try self.offer())
        await acceptor.closeAll(reason: "test")
    }

    @Test func `closing all peers also closes those that are being accepted`() async throws {
        let acceptor = self.acceptor(limit: 50)
        for _ in 0..<20 {
            let offers = try (0..<50).map { _ in
                acceptor.accept(try self.offer(), configuration: self.configuration, signaling: SilentSignaling())
            }
            await acceptor.closeAll(reason: "test")
            for offer in offers { _ = try? await offer.get() }
        }
        // All 50 places are free.
        for _ in 0..<50 { _ = try await self.accept(acceptor, try self.offer()) }
        await acceptor.closeAll(reason: "test")
    }

    @Test func `the same id twice is refused, and the first channel lives on`() async throws {
        let acceptor = self.acceptor(limit: 2)
        let offer = try self.offer()
        _ = try await self.accept(acceptor, offer)
        let error = await #expect(throws: PeerRefusal.self) { try await self.accept(acceptor, offer) }
        #expect(error == .idInUse)
        await acceptor.closeAll(reason: "test")
    }

    @Test func `an offer without the end-to-end proof is refused and leaves nothing behind`() async throws {
        let acceptor = self.acceptor(limit: 1)
        var demanding = self.configuration
        demanding.e2eKey = [UInt8](repeating: 1, count: 32)
        for _ in 0..<3 {
            let error = await #expect(throws: Failure.self) {
                try await self.accept(acceptor, try self.offer(), demanding)
            }
            #expect(error?.code == .refused)
        }
        _ = try await self.accept(acceptor, try self.offer())
        await acceptor.closeAll(reason: "test")
    }

    @Test func `an agent that is stopping accepts no peers`() async throws {
        let acceptor = self.acceptor(limit: 1)
        acceptor.stopAccepting()
        let error = await #expect(throws: PeerRefusal.self) { try await self.accept(acceptor, try self.offer()) }
        #expect(error == .stopping && error?.failure.code == .refused)
    }

    @Test func `300 offers of one client leave room for another one, and are refused with words`() async throws {
        let acceptor = self.acceptor(limit: 256)
        let greedy = try self.key(1)
        var refusals: [PeerRefusal] = []
        let offers = try (0..<300).map { _ in
            acceptor.accept(
                try self.offer(key: greedy), configuration: self.configuration, signaling: SilentSignaling())
        }
        for offer in offers {
            do { _ = try await offer.get() } catch let refusal as PeerRefusal { refusals.append(refusal) }
        }
        #expect(refusals == Array(repeating: .share(count: 224, limit: 256), count: 76))
        #expect(refusals.first?.failure.code == .share)
        for _ in 0..<10 { _ = try await self.accept(acceptor, self.offer(key: self.key(2))) }
        #expect(acceptor.admissions.clients == 2)
        #expect(acceptor.admissions.refusals == [.share: 76])
        await acceptor.closeAll(reason: "test")
        #expect(acceptor.admissions.clients == 0)
    }

    /// How many offers of a process of a client are accepted, and how many are not.
    private func offer(
        _ count: Int, to acceptor: PeerAcceptor, key: UInt8 = 1, session: UInt64
    ) async throws -> [Int] {
        var (accepted, refused) = (0, 0)
        for _ in 0..<count {
            do {
                _ = try await self.accept(acceptor, self.offer(key: self.key(key), session: session))
                accepted += 1
            } catch let refusal as PeerRefusal where [.share, .limit].contains(refusal.reason) {
                refused += 1
            }
        }
        return [accepted, refused]
    }

    @Test(arguments: [2, 8, 40]) func `a process that comes after one that has crashed gets its places`(
        limit: Int
    ) async throws {
        let acceptor = self.acceptor(limit: limit)
        let most = limit - max(1, limit / 8)
        #expect(try await self.offer(most + 1, to: acceptor, session: 70) == [most, 1])
        let former = acceptor.slots
        // Beside another client, which loses nothing.
        let other = try self.offer(key: self.key(2))
        _ = try await self.accept(acceptor, other)
        // The number of the later one need not be larger.
        #expect(try await self.offer(most + 1, to: acceptor, session: 5) == [most, 1])
        for slot in former { try await slot.vacated.futureResult.get() }
        #expect(acceptor.slots.count == most + 1)
        #expect(acceptor.slots.contains { $0.admission.key.bytes == other.fingerprint })
        // The former one, if it lives, ends nothing of its successor; a third one does.
        #expect(try await self.offer(3, to: acceptor, session: 70) == [0, 3])
        #expect(try await self.offer(1, to: acceptor, session: 6) == [1, 0])
        #expect(try await self.offer(2, to: acceptor, session: 5) == [0, 2])
        await acceptor.closeAll(reason: "test")
        #expect(acceptor.admissions.clients == 0 && acceptor.slots.isEmpty)
        // All places are free.
        #expect(try await self.offer(most + 1, to: acceptor, session: 70) == [most, 1])
        await acceptor.closeAll(reason: "test")
    }

    @Test func `a relay with 200 rules has an agent to itself`() async throws {
        let acceptor = self.acceptor(limit: 256)
        #expect(try await self.offer(200, to: acceptor, session: 1) == [200, 0])
        await acceptor.closeAll(reason: "test")
    }

    @Test func `offers that only name a listed key leave the client's connections and checks alone`() async throws {
        let list = try AuthorizedClients(parsing: Array("\(self.key(1))".utf8))
        let acceptor = self.acceptor(limit: 20, streams: 80, list: list)
        let proved = try self.offer(key: self.key(1))
        _ = try await self.accept(acceptor, proved)
        let slot = try #require(acceptor.slots.first)
        for _ in 0..<5 {
            var offer = try self.offer(key: self.key(1))
            offer.client = ClientStamp(session: 2, key: nil)
            _ = try await self.accept(acceptor, offer)
        }
        #expect(acceptor.slots.count == 6 && acceptor.slots.allSatisfy { $0.client === slot.client })
        #expect(acceptor.slots.filter { $0.payer === slot.payer }.count == 1)
        // No other tunnel of the client is there so far.
        let tunnel = acceptor.egress.tunnelOpened(of: slot.client)
        #expect((0..<80).count { _ in acceptor.egress.takeStream(by: tunnel, of: slot.client) == nil } == 70)
        await acceptor.closeAll(reason: "test")
    }

    @Test func `a client that leaves the list loses its channels, and nobody else does`() async throws {
        let list = try AuthorizedClients(parsing: Array("\(self.key(1))\n\(self.key(2)) max-streams=3".utf8))
        let acceptor = self.acceptor(limit: 20, list: list)
        for number in [1, 1, 2] as [UInt8] { _ = try await self.accept(acceptor, self.offer(key: self.key(number))) }
        let error = await #expect(throws: PeerRefusal.self) { try await self.accept(acceptor, try self.offer()) }
        #expect(error?.failure.code == .clientUnknown)
        #expect(acceptor.slots.count == 3)
        let second = ClientID.key(try self.key(2))
        let shorter = try AuthorizedClients(parsing: Array("\(self.key(2)) max-streams=5".utf8))
        let vacated = acceptor.slots.filter { $0.admission.id != second }.map(\.vacated.futureResult)
        #expect(acceptor.change(to: shorter) == 2 && vacated.count == 2)
        for future in vacated { try await future.get() }
        #expect(acceptor.slots.map(\.client.maximumStreams) == [5])
        await #expect(throws: PeerRefusal.keyUnknown(try self.key(1), isStamped: true)) {
            try await self.accept(acceptor, self.offer(key: self.key(1)))
        }
        await acceptor.closeAll(reason: "test")
    }

    @Test func `an offer that is being accepted when its client leaves the list comes to nothing`() async throws {
        let list = try AuthorizedClients(parsing: Array("\(self.key(1))".utf8))
        let nobody = try AuthorizedClients(parsing: [])
        let acceptor = self.acceptor(limit: 200, list: list)
        for _ in 0..<20 {
            let offers = try (0..<50).map { _ in
                acceptor.accept(
                    try self.offer(key: self.key(1)), configuration: self.configuration, signaling: SilentSignaling())
            }
            let places = acceptor.slots.map(\.vacated.futureResult)
            #expect(acceptor.change(to: nobody) == places.count)
            for offer in offers { _ = try? await offer.get() }
            for place in places { try await place.get() }
            #expect(acceptor.slots.isEmpty)
            #expect(acceptor.change(to: list) == 0)
        }
    }

    @Test func `messages about an unknown peer are ignored`() {
        let acceptor = self.acceptor(limit: 1)
        acceptor.receive(.candidate(PeerCandidate(endOfCandidatesOf: .random())))
        acceptor.receive(.close(ClosePeer(peerID: .random(), reason: "")))
    }
}
