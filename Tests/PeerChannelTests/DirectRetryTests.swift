import AppProto
import HostNetwork
import ICE
import NIOCore
import PeerTestSupport
import Synchronization
import TestSupport
import Testing

@testable import PeerChannel
@testable import PeerPath

/// Channels on the bridge that look for a direct path again, and paths that are not what they seem.
@Suite(.timeLimit(.minutes(2)), .serialized)
struct DirectRetryTests {
    private static func configuration(retryAfter interval: TimeAmount) throws -> PeerChannelConfiguration {
        var configuration = try PeerPair.configuration()
        configuration.serverBridges = true
        configuration.directRetryInterval = interval
        configuration.pathTimeout = .seconds(1)
        return configuration
    }

    /// A pair whose first session finds nothing: each side is told of an address of the other where nobody listens.
    private func bridgedPair(retryAfter interval: TimeAmount) async throws -> NIOLoopBound<PeerPair> {
        let pair = try await PeerPair.connect(
            client: Self.configuration(retryAfter: interval), agent: Self.configuration(retryAfter: interval)
        ) { pair in
            pair.hub.changeOffer = { offer in
                var offer = offer
                offer.candidates = offer.candidates.map(Self.elsewhere)
                return offer
            }
            pair.hub.changeAnswer = { answer in
                var answer = answer
                answer.candidates = answer.candidates.map(Self.elsewhere)
                return answer
            }
        }
        try await eventually(within: .seconds(20), "the end of the first search") {
            try await PeerPair.on(pair) { pair in
                [pair.clientLog, pair.agentLog].allSatisfy { $0.lines.contains { $0.event == "peer.paths" } }
            }
        }
        try await PeerPair.on(pair) { pair in
            for log in [pair.clientLog, pair.agentLog] {
                let connected = log.lines.first { $0.event == "peer.connected" }
                #expect(connected?.metadata["path"] == "bridge")
            }
        }
        return pair
    }

    private static func elsewhere(_ candidate: Candidate) -> Candidate {
        var candidate = candidate
        candidate.address.port = 1
        return candidate
    }

    private func generation(_ pair: NIOLoopBound<PeerPair>) async throws -> UInt32 {
        try await PeerPair.on(pair) { $0.client.paths.engine.sessions.generation }
    }

    @Test func `a bridged channel keeps looking for a direct path`() async throws {
        let pair = try await self.bridgedPair(retryAfter: .seconds(1))
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(10))
        #expect(try await self.generation(pair) >= 1)
        try await PeerPair.finish(pair)
    }

    @Test(arguments: [MemorySignaling.Side.client, .agent])
    func `a changed address starts a search at once`(side: MemorySignaling.Side) async throws {
        let pair = try await self.bridgedPair(retryAfter: .hours(1))
        try await Task.sleep(for: .seconds(2))
        #expect(try await self.generation(pair) == 0)
        try await PeerPair.on(pair) { pair in
            let state = NetworkState(addresses: [], internetRoutes: [])
            let change = AddressChange(before: state, after: state, isAfterStandstill: true)
            switch side {
            case .client: pair.client.networkChanged(change)
            case .agent: pair.agent?.networkChanged(change)
            }
        }
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(5))
        #expect(try await self.generation(pair) == 1)
        try await PeerPair.finish(pair)
    }

    @Test(arguments: [MemorySignaling.Side.client, .agent])
    func `a side without sockets at first looks for a direct path later`(side: MemorySignaling.Side) async throws {
        let with = try Self.configuration(retryAfter: .seconds(1))
        var without = with
        without.loopbackOnly = false
        without.interfaces = ["none0"]
        let asked = Mutex(0)
        let pair = try await PeerPair.connect(
            client: side == .client ? without : with, agent: side == .agent ? without : with
        ) { pair in
            pair.hub.restart = { _ in
                asked.withLock { $0 += 1 }
                return PeerPair.eventLoop.makeFailedFuture(Failure(code: .agentGone))
            }
        }
        #expect(try await PeerPair.on(pair) { $0.client.path?.name } == "bridge")
        #expect(asked.withLock { $0 } == 0)
        try await eventually(within: .seconds(5), "a request for a session") { asked.withLock { $0 } >= 1 }
        try await PeerPair.finish(pair)
    }

    /// Of two families one loses everything large, the one that ICE prefers; or there is only that.
    @Test(arguments: [true, false])
    func `a path that carries only small datagrams gives way to another one, or is reported as unusable`(hasOther: Bool)
        async throws
    {
        let interval: TimeAmount = hasOther ? .hours(1) : .seconds(1)
        var configuration = try Self.configuration(retryAfter: interval)
        configuration.pathTimeout = .seconds(10)
        let pair = try await PeerPair.start(client: configuration, agent: configuration) { pair in
            pair.hub.changeOffer = { [unowned pair] offer in
                Self.loseLarge(of: pair, evenIPv4: !hasOther)
                return offer
            }
        }
        try await PeerPair.wait(pair) { $0.connected.futureResult }
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(30))
        try await PeerPair.on(pair) { pair in
            let remote = pair.client.path?.remote
            if hasOther {
                #expect(remote?.protocol == .inet)
                #expect(pair.client.paths.engine.sessions.generation == 0)
            } else {
                #expect(pair.client.paths.engine.sessions.generation >= 1)
                let paths = pair.clientLog.lines.first { $0.event == "peer.paths" }
                let report = "\(paths?.metadata["report"] ?? "")"
                #expect(report.contains("answers small checks only"))
            }
        }
        try await PeerPair.finish(pair)
    }

    /// From now on the client's sockets of the first session hear small datagrams only; those of IPv6, unless it is said
    /// otherwise.
    private static func loseLarge(of pair: PeerPair, evenIPv4: Bool) {
        let filter = PathFilter(pair.client.paths) { base, length, source in
            base.generation > 0 || length <= 1000 || source.protocol == .inet && !evenIPv4
        }
        pair.retained.append(filter)
    }
}
