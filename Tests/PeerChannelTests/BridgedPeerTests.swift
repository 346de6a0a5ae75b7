import AppProto
import Crypto
import NIOCore
import PeerTestSupport
import Synchronization
import TLS
import TestSupport
import Testing
import Tunnel

@testable import PeerChannel
@testable import PeerPath

/// Channels that begin on the bridge, leave it, and come back.
@Suite(.timeLimit(.minutes(2)), .serialized)
struct BridgedPeerTests {
    private static func configuration(_ choice: PathChoice = .auto) throws
        -> PeerChannelConfiguration
    {
        var configuration = try PeerPair.configuration()
        configuration.serverBridges = true
        configuration.pathChoice = choice
        return configuration
    }

    private func connect(
        client: PathChoice = .auto, agent: PathChoice = .auto,
        prepare: @escaping @Sendable (PeerPair) -> Void = { _ in }
    ) async throws -> NIOLoopBound<PeerPair> {
        try await PeerPair.connect(
            client: Self.configuration(client), agent: Self.configuration(agent), prepare: prepare)
    }

    /// A line through the tunnel, which both sides know to be open; what one side writes the other reads.
    private func line(_ pair: NIOLoopBound<PeerPair>) async throws -> (client: BlockingSocket, target: BlockingSocket) {
        let (targets, arrived) = AsyncStream.makeStream(of: BlockingSocket.self)
        let service = try TCPService { arrived.yield($0) }
        let port = try await PeerPair.wait(pair) { $0.listen(forwardingTo: service.port) }
        let client = try await onThread { try BlockingSocket(connectingTo: "127.0.0.1", port: port) }
        for await target in targets {
            let line = (client, target)
            try await self.exchange(line, 1)
            return line
        }
        throw CancellationError()
    }

    private func exchange(_ line: (client: BlockingSocket, target: BlockingSocket), _ count: Int) async throws {
        let block = SecureRandom.bytes(count)
        async let sent: Void = onThread { try line.target.send(block) }
        let received = try await onThread { try line.client.receive(exactly: count) }
        try await sent
        #expect(received == block)
    }

    /// Makes one side deaf to what comes straight from the other to the sockets that there are now.
    private static func deafen(_ channel: PeerChannel<QUICTunnel>?, of pair: PeerPair) {
        guard let paths = channel?.paths else { return }
        let newest = paths.engine.sessions.newest?.generation ?? 0
        pair.retained.append(PathFilter(paths) { base, _, _ in base.generation > newest })
    }

    @Test func `the tunnel is up on the bridge before a check has been answered, and moves`() async throws {
        var configurations = [try Self.configuration(), try Self.configuration()]
        for index in configurations.indices {
            // On a busy machine it takes a while until the candidates come, and ICE must not have given up by then.
            configurations[index].ice.hopelessTimeLimit = .seconds(60)
            configurations[index].pathTimeout = .seconds(60)
        }
        let pair = try await PeerPair.start(client: configurations[0], agent: configurations[1]) { pair in
            // No check of the client gets an answer before the candidates have come, late.
            pair.hub.changeAnswer = { answer in
                var answer = answer
                answer.candidates = []
                return answer
            }
            pair.hub.changeOffer = { offer in
                var offer = offer
                offer.candidates = []
                return offer
            }
        }
        try await PeerPair.wait(pair) { $0.connected.futureResult }
        try await PeerPair.wait(pair) { $0.agentConnected.futureResult }
        try await PeerPair.eventuallyPath("bridge", pair, within: .seconds(30))
        let line = try await self.line(pair)
        try await self.exchange(line, 200_000)
        try await PeerPair.on(pair) { pair in
            let paths = [pair.client.paths, pair.agent?.paths].compactMap { $0 }
            for (from, to) in zip(paths, paths.reversed()) {
                for candidate in from.engine.localDescription.candidates {
                    to.tell { $0.receive(.candidate(candidate, generation: 0), at: $1) }
                }
            }
        }
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(30))
        let bridged = try await PeerPair.on(pair) { $0.hub.bridged.count }
        try await self.exchange(line, 3_000_000)
        try await PeerPair.on(pair) { #expect($0.hub.bridged.count <= bridged + 20) }
        let change = try await PeerPair.on(pair) { pair in
            pair.clientLog.lines.first { $0.event == "peer.path_changed" }?.metadata.mapValues { "\($0)" }
        }
        #expect(change?["from"] == "bridge")
        #expect(change?["to"] == "direct")
        #expect(change?["reason"] == "confirmed")
        try await PeerPair.finish(pair)
    }

    @Test(arguments: [MemorySignaling.Side.client, .agent])
    func `with the bridge alone no candidate is offered, and what it carries is encrypted`(
        side: MemorySignaling.Side
    ) async throws {
        let pair = try await self.connect(
            client: side == .client ? .bridge : .auto, agent: side == .agent ? .bridge : .auto)
        let line = try await self.line(pair)
        let marker = Array("the quick brown fox jumps over the lazy dog".utf8)
        try await onThread {
            for _ in 0..<200 { try line.target.send(marker) }
            _ = try line.client.receive(exactly: 200 * marker.count)
        }
        try await Task.sleep(for: .seconds(3))
        try await PeerPair.eventuallyPath("bridge", pair, within: .seconds(30))
        try await PeerPair.on(pair) { pair in
            #expect(pair.hub.bridged.reduce(0) { $0 + $1.readableBytes } > 200 * marker.count)
            for datagrams in pair.hub.bridged {
                #expect(
                    String(decoding: datagrams.readableBytesView, as: UTF8.self).contains("the quick brown fox")
                        == false)
            }
        }
        try await PeerPair.finish(pair)
    }

    @Test func `damage on the bridge costs time, not data`() async throws {
        let pair = try await self.connect(client: .bridge) { pair in
            let deliver = pair.hub.toClient
            pair.hub.toClient = { body in
                guard case .bridge(var bridge) = body, Int.random(in: 0..<10) == 0 else { return deliver?(body) ?? () }
                let index = bridge.datagrams.readerIndex + Int.random(in: 0..<bridge.datagrams.readableBytes)
                let byte = bridge.datagrams.getInteger(at: index, as: UInt8.self) ?? 0
                bridge.datagrams.setInteger(byte ^ 1 << UInt8.random(in: 0..<8), at: index)
                deliver?(.bridge(bridge))
            }
        }
        try await self.exchange(try await self.line(pair), 300_000)
        try await PeerPair.finish(pair)
    }

    @Test func `a direct path that dies gives way to the bridge, and a new session finds another`() async throws {
        let pair = try await self.connect()
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(5))
        let line = try await self.line(pair)
        try await self.exchange(line, 1_000_000)
        try await PeerPair.on(pair) { pair in
            Self.deafen(pair.agent, of: pair)
            // No way around it for now.
            pair.hub.restart = nil
        }
        try await PeerPair.eventuallyPath("bridge", pair, within: .seconds(30))
        try await self.exchange(line, 500_000)
        try await PeerPair.on(pair) { pair in
            pair.hub.restart = { [unowned pair] restart in
                pair.restart(restart)
            }
        }
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(30))
        try await PeerPair.on(pair) { pair in
            let generation = pair.client.paths.engine.sessions.newest?.generation ?? 0
            #expect(generation >= 1)
            #expect(pair.agent?.paths.engine.sessions.newest?.generation == generation)
            let reasons = pair.clientLog.lines.filter { $0.event == "peer.path_changed" }.map {
                "\($0.metadata["from"] ?? "") \($0.metadata["to"] ?? "") \($0.metadata["reason"] ?? "")"
            }
            #expect(reasons.contains("direct bridge silent"))
        }
        try await self.exchange(line, 1_000_000)
        try await PeerPair.finish(pair)
    }

    @Test func `a direct path that comes back is taken again without a new session`() async throws {
        let pair = try await self.connect { $0.hub.restart = nil }
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(5))
        let line = try await self.line(pair)
        try await self.exchange(line, 1000)
        try await PeerPair.on(pair) { Self.deafen($0.client, of: $0) }
        try await PeerPair.eventuallyPath("bridge", pair, within: .seconds(30))
        try await self.exchange(line, 10_000)
        try await PeerPair.on(pair) { $0.client.paths.sockets.delegate = $0.client.paths }
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(30))
        try await self.exchange(line, 1_000_000)
        try await PeerPair.finish(pair)
    }

    @Test func `with direct paths only, a dead path is replaced by a new session, and connections survive`()
        async throws
    {
        let pair = try await self.connect(client: .direct)
        let line = try await self.line(pair)
        try await self.exchange(line, 100_000)
        try await PeerPair.on(pair) { pair in
            #expect(pair.client.path?.name == "direct")
            Self.deafen(pair.client, of: pair)
        }
        try await self.exchange(line, 1_000_000)
        try await PeerPair.on(pair) { pair in
            #expect(pair.client.paths.engine.sessions.newest?.generation == 1)
            #expect(pair.hub.bridged.isEmpty)
        }
        try await PeerPair.finish(pair)
    }

    @Test func `an agent that has forgotten the channel says so, and the channel ends`() async throws {
        let pair = try await self.connect { pair in
            pair.hub.restart = { _ in PeerPair.eventLoop.makeFailedFuture(Failure(code: .peerUnknown)) }
        }
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(5))
        try await PeerPair.on(pair) { pair in
            pair.client.signalChanged(isUp: false, bridges: false)
            pair.client.signalChanged(isUp: true, bridges: true)
        }
        guard case .unknownToPeer = try await PeerPair.wait(pair, { $0.clientClosed.futureResult }) else {
            Issue.record("closed for another reason")
            return
        }
        try await PeerPair.finish(pair)
    }

    @Test func `a control connection that is lost takes the bridge along, and brings it back`() async throws {
        let pair = try await self.connect(client: .bridge)
        let line = try await self.line(pair)
        try await self.exchange(line, 10_000)
        try await PeerPair.on(pair) { pair in
            pair.hub.carriesBridge = false
            pair.client.signalChanged(isUp: false, bridges: false)
            #expect(pair.client.path == nil)
        }
        try await Task.sleep(for: .seconds(2))
        try await PeerPair.on(pair) { pair in
            pair.hub.carriesBridge = true
            pair.client.signalChanged(isUp: true, bridges: true)
        }
        try await self.exchange(line, 100_000)
        try await PeerPair.finish(pair)
    }

    @Test func `an agent that comes back is asked at once, however often it was missing`() async throws {
        let asked = Mutex(0)
        let pair = try await self.connect(client: .bridge)
        let line = try await self.line(pair)
        try await PeerPair.on(pair) { pair in
            let answer = pair.hub.restart
            pair.hub.carriesBridge = false
            pair.hub.restart = { restart in
                let isBack = asked.withLock { count in
                    count += 1
                    return count > 4
                }
                guard isBack, let answer else {
                    return PeerPair.eventLoop.makeFailedFuture(Failure(code: .agentGone))
                }
                return answer(restart)
            }
            pair.client.signalChanged(isUp: false, bridges: false)
            pair.client.signalChanged(isUp: true, bridges: true)
        }
        // At once and after 1, 2, 4 s; the next time would be after another 8 s.
        try await eventually(within: .seconds(30), "four requests") { asked.withLock { $0 } == 4 }
        try await PeerPair.on(pair) { pair in
            pair.hub.carriesBridge = true
            pair.client.agentCameBack()
        }
        try await eventually(within: .seconds(4), "the fifth request") { asked.withLock { $0 } >= 5 }
        try await self.exchange(line, 100_000)
        try await PeerPair.finish(pair)
    }

    @Test func `with the bridge alone, a server that stays away ends the channel`() async throws {
        var client = try Self.configuration(.bridge)
        client.pathLossTimeout = .seconds(1)
        let pair = try await PeerPair.connect(client: client, agent: Self.configuration())
        try await PeerPair.on(pair) { $0.client.signalChanged(isUp: false, bridges: false) }
        guard case .noBridge = try await PeerPair.wait(pair, { $0.clientClosed.futureResult }) else {
            Issue.record("closed for another reason")
            return
        }
        try await PeerPair.finish(pair)
    }

    @Test func `an agent opens sessions one at a time, however many are requested`() async throws {
        let pair = try await self.connect()
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(5))
        let line = try await self.line(pair)
        let answers = try await PeerPair.wait(pair) { pair in
            let answers = (UInt32(1)...50).compactMap { generation in
                pair.restart(
                    RestartPeer(
                        peerID: pair.client.peerID, name: "office", instanceID: .random(), generation: generation,
                        ice: IceParameters(ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv"), candidates: []))
            }
            return EventLoopFuture.whenAllSucceed(answers, on: PeerPair.eventLoop)
        }
        // The first and the last got sessions; the others heard what there was, and the channel has not noticed.
        #expect(answers.count == 50)
        #expect(answers.last?.generation == 50)
        #expect(answers.dropLast().allSatisfy { $0.generation <= 1 })
        try await self.exchange(line, 100_000)
        try await PeerPair.finish(pair)
    }

    @Test func `restarts are proved with the end-to-end secret`() async throws {
        var client = try Self.configuration()
        client.e2eKey = [UInt8](repeating: 5, count: 32)
        var agent = try Self.configuration()
        agent.e2eKey = client.e2eKey
        let pair = try await PeerPair.connect(client: client, agent: agent)
        try await PeerPair.eventuallyPath("direct", pair, within: .seconds(5))
        try await PeerPair.on(pair) { $0.client.receive(.restartWanted(RestartWanted(peerID: $0.client.peerID))) }
        try await eventually(within: .seconds(5), "a new session") {
            try await PeerPair.on(pair) { $0.client.paths.engine.sessions.newest?.generation == 1 }
        }
        // A server that puts its own credentials in is refused, and the path stays as it is.
        try await PeerPair.on(pair) { pair in
            let restart = pair.hub.restart
            pair.hub.restart = { message in
                var message = message
                message.ice = IceParameters(ufrag: "evil", pwd: "evilevilevilevilevilevil")
                return restart?(message) ?? PeerPair.eventLoop.makeFailedFuture(Failure(code: .internal))
            }
            pair.client.receive(.restartWanted(RestartWanted(peerID: pair.client.peerID)))
        }
        try await Task.sleep(for: .seconds(1))
        try await PeerPair.on(pair) { pair in
            #expect(pair.client.paths.engine.sessions.newest?.generation == 1)
            #expect(pair.agent?.paths.engine.sessions.newest?.generation == 1)
            #expect(pair.client.isConnected)
        }
        try await PeerPair.finish(pair)
    }

    @Test func `sides whose choices of paths exclude each other say so`() async throws {
        let pair = try await PeerPair.start(
            client: try Self.configuration(.bridge), agent: try Self.configuration(.direct))
        guard case .noBridge = try await PeerPair.wait(pair, { $0.clientClosed.futureResult }) else {
            Issue.record("closed for another reason")
            return
        }
        try await PeerPair.finish(pair)
    }
}
