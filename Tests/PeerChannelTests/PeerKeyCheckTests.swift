import Basics
import NIOCore
import PeerTestSupport
import TLS
import TestSupport
import Testing

@testable import PeerChannel

/// Others have a say in the key of a channel's other side.
@Suite(.timeLimit(.minutes(1)))
struct PeerKeyCheckTests {
    @Test func `a key that is objected to never gets as far as the carrier`() async throws {
        let pair = try await PeerPair.start { pair in
            pair.keyVoice.objection = { key in key == pair.agentKey ? "another one" : nil }
        }
        guard case .keyRefused("another one") = try await PeerPair.wait(pair, { $0.clientClosed.futureResult }) else {
            Issue.record("the key was not refused")
            return
        }
        try await PeerPair.on(pair) { pair in
            #expect(pair.client.carrier == nil)
            // Who has refused it tells of it.
            #expect(pair.clientLog.lines.filter { $0.event == "peer.closed" }.map(\.level) == [.debug])
        }
        guard case .closedByPeer = try await PeerPair.wait(pair, { $0.agentClosed.futureResult }) else {
            Issue.record("the agent was not told")
            return
        }
        try await PeerPair.finish(pair)
    }

    @Test func `nothing is connected before the proved key is agreed to`() async throws {
        let (asked, admission) = (
            PeerPair.eventLoop.makePromise(of: CertificateFingerprint.self),
            PeerPair.eventLoop.makePromise(of: Void.self)
        )
        let pair = try await PeerPair.start { pair in
            pair.keyVoice.proved = { key in
                asked.succeed(key)
                return admission.futureResult
            }
        }
        let key = try await asked.futureResult.get()
        try await PeerPair.on(pair) { pair in
            #expect(key == pair.agentKey)
            #expect(!pair.hasConnected)
            #expect(!pair.clientLog.lines.contains { $0.event == "peer.connected" })
        }
        admission.succeed()
        try await PeerPair.wait(pair) { $0.connected.futureResult }
        try await PeerPair.finish(pair)
    }

    @Test func `a proved key that is not agreed to ends the channel`() async throws {
        struct NoRoom: Error, CustomStringConvertible { let description = "no room on the disk" }
        let pair = try await PeerPair.start { pair in
            pair.keyVoice.proved = { _ in PeerPair.eventLoop.makeFailedFuture(NoRoom()) }
        }
        guard
            case .keyRefused("no room on the disk") = try await PeerPair.wait(pair, { $0.clientClosed.futureResult })
        else {
            Issue.record("the channel did not end for that reason")
            return
        }
        try await PeerPair.on(pair) { #expect(!$0.hasConnected) }
        try await PeerPair.finish(pair)
    }
}
