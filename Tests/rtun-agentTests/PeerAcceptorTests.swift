import AppProto
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

    private func acceptor(limit: Int) -> PeerAcceptor {
        let dialer = EgressDialer(policy: EgressPolicy([]))
        return PeerAcceptor(
            maximumPeers: limit, group: MultiThreadedEventLoopGroup.singleton,
            egress: Egress(dialer: dialer, maximumStreams: 1, maximumFlows: 1), accessLog: nil,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    private func offer(_ id: PeerID = .random()) -> OpenPeer {
        OpenPeer(
            peerID: id, name: "one", instanceID: self.instance,
            ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"),
            fingerprint: [UInt8](repeating: 7, count: 32), kind: .quicTunnel)
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
        let offer = self.offer()
        let reply = try await self.accept(acceptor, offer)
        #expect(reply.peerID == offer.peerID)
        #expect(reply.fingerprint == self.configuration.identity.leafFingerprint.bytes)
        await acceptor.closeAll(reason: "test")
    }

    @Test func `a peer beyond the limit is refused until another one is gone`() async throws {
        let acceptor = self.acceptor(limit: 1)
        _ = try await self.accept(acceptor, self.offer())
        let error = await #expect(throws: Failure.self) { try await self.accept(acceptor, self.offer()) }
        #expect(error == Failure(code: .refused, reason: "the agent is at its limit of 1 peers"))
        await acceptor.closeAll(reason: "test")
        _ = try await self.accept(acceptor, self.offer())
        await acceptor.closeAll(reason: "test")
    }

    @Test func `closing all peers also closes those that are being accepted`() async throws {
        let acceptor = self.acceptor(limit: 50)
        for _ in 0..<20 {
            let offers = (0..<50).map { _ in
                acceptor.accept(self.offer(), configuration: self.configuration, signaling: SilentSignaling())
            }
            await acceptor.closeAll(reason: "test")
            for offer in offers { _ = try? await offer.get() }
        }
        // All 50 places are free.
        for _ in 0..<50 { _ = try await self.accept(acceptor, self.offer()) }
        await acceptor.closeAll(reason: "test")
    }

    @Test func `the same id twice is refused, and the first channel lives on`() async throws {
        let acceptor = self.acceptor(limit: 2)
        let offer = self.offer()
        _ = try await self.accept(acceptor, offer)
        let error = await #expect(throws: Failure.self) { try await self.accept(acceptor, offer) }
        #expect(error?.code == .badRequest)
        await acceptor.closeAll(reason: "test")
    }

    @Test func `an offer without the end-to-end proof is refused and leaves nothing behind`() async throws {
        let acceptor = self.acceptor(limit: 1)
        var demanding = self.configuration
        demanding.e2eKey = [UInt8](repeating: 1, count: 32)
        for _ in 0..<3 {
            let error = await #expect(throws: Failure.self) {
                try await self.accept(acceptor, self.offer(), demanding)
            }
            #expect(error?.code == .refused)
        }
        _ = try await self.accept(acceptor, self.offer())
        await acceptor.closeAll(reason: "test")
    }

    @Test func `an agent that is stopping accepts no peers`() async throws {
        let acceptor = self.acceptor(limit: 1)
        acceptor.stopAccepting()
        let error = await #expect(throws: Failure.self) { try await self.accept(acceptor, self.offer()) }
        #expect(error?.code == .refused)
    }

    @Test func `messages about an unknown peer are ignored`() {
        let acceptor = self.acceptor(limit: 1)
        acceptor.receive(.candidate(PeerCandidate(endOfCandidatesOf: .random())))
        acceptor.receive(.close(ClosePeer(peerID: .random(), reason: "")))
    }
}
