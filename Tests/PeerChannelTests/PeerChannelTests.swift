import AppProto
import NIOCore
import PeerPath
import PeerTestSupport
import TLS
import TestSupport
import Testing

@testable import PeerChannel
@testable import Tunnel

@Suite(.timeLimit(.minutes(1)))
struct PeerChannelTests {
    @Test func `two peers find each other and the path is direct`() async throws {
        let pair = try await PeerPair.connect()
        try await PeerPair.on(pair) { pair in
            #expect(pair.client.isConnected)
            let path = try #require(pair.client.path)
            #expect(path.name == "direct")
            #expect(["127.0.0.1", "::1"].contains(path.remote?.ipAddress))
        }
        try await PeerPair.finish(pair)
        try await PeerPair.on(pair) { #expect(!$0.client.isConnected) }
    }

    @Test(arguments: [PathChoice.auto, .direct])
    func `a tunnel uses the packet size that its path was found to carry`(
        choice: PathChoice
    ) async throws {
        var configuration = try PeerPair.configuration()
        configuration.pathChoice = choice
        let pair = try await PeerPair.connect(client: configuration, agent: configuration)
        try await eventually(within: .seconds(10), "packets of 1452 bytes on both sides") {
            try await PeerPair.on(pair) { pair in
                pair.client.carrier?.session.maximumDatagramSize == 1452
                    && pair.agent?.carrier?.session.maximumDatagramSize == 1452
            }
        }
        try await PeerPair.finish(pair)
    }

    @Test(arguments: [NIOBSDSocket.ProtocolFamily.inet, .inet6])
    func `either address family is enough`(family: NIOBSDSocket.ProtocolFamily) async throws {
        let pair = try await PeerPair.connect { pair in
            pair.hub.changeOffer = { offer in
                var offer = offer
                offer.candidates.removeAll { $0.address.protocol != family }
                return offer
            }
            pair.hub.changeAnswer = { answer in
                var answer = answer
                answer.candidates.removeAll { $0.address.protocol != family }
                return answer
            }
        }
        try await PeerPair.on(pair) { #expect($0.client.path?.remote?.protocol == family) }
        try await PeerPair.finish(pair)
    }

    @Test func `with the same end-to-end secret peers connect`() async throws {
        var client = try PeerPair.configuration()
        var agent = try PeerPair.configuration()
        client.e2eKey = [UInt8](repeating: 5, count: 32)
        agent.e2eKey = client.e2eKey
        try await PeerPair.finish(try await PeerPair.connect(client: client, agent: agent))
    }

    @Test func `an agent with a secret refuses offers without or with another one`() async throws {
        for clientKey in [nil, [UInt8](repeating: 6, count: 32)] {
            var client = try PeerPair.configuration()
            var agent = try PeerPair.configuration()
            client.e2eKey = clientKey
            agent.e2eKey = [UInt8](repeating: 5, count: 32)
            let pair = try await PeerPair.start(client: client, agent: agent)
            guard
                case .offerFailed(let error as PeerChannelError) = try await PeerPair.wait(
                    pair, { $0.clientClosed.futureResult }),
                case .endToEndProof = error
            else {
                Issue.record("the offer should have been refused for its proof")
                return
            }
            try await PeerPair.finish(pair)
        }
    }

    @Test func `a client with a secret refuses answers without it`() async throws {
        var client = try PeerPair.configuration()
        client.e2eKey = [UInt8](repeating: 5, count: 32)
        let pair = try await PeerPair.start(client: client)
        guard case .endToEndProof = try await PeerPair.wait(pair, { $0.clientClosed.futureResult }) else {
            Issue.record("the answer should have been refused for its proof")
            return
        }
        guard case .closedByPeer = try await PeerPair.wait(pair, { $0.agentClosed.futureResult }) else {
            Issue.record("the agent should have been told")
            return
        }
        try await PeerPair.finish(pair)
    }

    @Test(arguments: [MemorySignaling.Side.client, .agent])
    func `another certificate than the one announced is refused`(liar: MemorySignaling.Side) async throws {
        let pair = try await PeerPair.start { pair in
            let wrong = [UInt8](repeating: 0xEE, count: 32)
            pair.hub.changeOffer = { offer in
                var offer = offer
                if liar == .client { offer.fingerprint = wrong }
                return offer
            }
            pair.hub.changeAnswer = { answer in
                var answer = answer
                if liar == .agent { answer.fingerprint = wrong }
                return answer
            }
        }
        // Whoever was lied to says so; the other hears of it from the tunnel or from signalling, whichever is faster.
        let judged = try await PeerPair.wait(pair) {
            liar == .client ? $0.agentClosed.futureResult : $0.clientClosed.futureResult
        }
        guard case .tunnel(.untrusted) = judged else {
            Issue.record("expected a refused certificate, got \(judged)")
            return
        }
        _ = try await PeerPair.wait(pair) {
            liar == .client ? $0.clientClosed.futureResult : $0.agentClosed.futureResult
        }
        try await PeerPair.finish(pair)
    }

    @Test func `when no path is found the report says what was tried`() async throws {
        var configuration = try PeerPair.configuration()
        configuration.pathTimeout = .milliseconds(300)
        let pair = try await PeerPair.start(client: configuration, agent: try PeerPair.configuration()) { pair in
            let nowhere = try? SocketAddress(ipAddress: "127.0.0.1", port: 9)
            pair.hub.changeAnswer = { answer in
                var answer = answer
                for index in answer.candidates.indices {
                    if let nowhere { answer.candidates[index].address = nowhere }
                }
                return answer
            }
            pair.hub.changeOffer = { offer in
                var offer = offer
                offer.ice.pwd = String(repeating: "x", count: 24)
                return offer
            }
        }
        let closed = try await PeerPair.wait(pair) { $0.clientClosed.futureResult }
        guard case .noPath(let report) = closed else {
            Issue.record("expected no path, got \(closed)")
            return
        }
        #expect(!report.localCandidates.isEmpty)
        #expect(report.remoteCandidates.contains { $0.address.port == 9 })
        #expect(report.pairs.contains { $0.remote.address.port == 9 })
        #expect("\(report)".contains("127.0.0.1:9"))
        // For the log: one line that says how many of what were tried.
        #expect(!"\(closed)".contains("\n"))
        #expect("\(closed)".contains("no answer"))
        let lines = try await PeerPair.on(pair) { $0.clientLog.lines }
        #expect(lines.map(\.level) == [.warning, .info])
        #expect(lines.map(\.event) == ["peer.closed", "peer.paths"])
        #expect(lines.last?.metadata["report"]?.description.contains("127.0.0.1:9") == true)
        try await PeerPair.finish(pair)
    }

    @Test func `the report also comes when the other side gives up first`() async throws {
        var agent = try PeerPair.configuration()
        agent.pathTimeout = .milliseconds(300)
        let pair = try await PeerPair.start(agent: agent) { pair in
            let nowhere = try? SocketAddress(ipAddress: "127.0.0.1", port: 9)
            pair.hub.changeAnswer = { answer in
                var answer = answer
                for index in answer.candidates.indices {
                    if let nowhere { answer.candidates[index].address = nowhere }
                }
                return answer
            }
            pair.hub.changeOffer = { offer in
                var offer = offer
                offer.ice.pwd = String(repeating: "x", count: 24)
                return offer
            }
            // Said again in the same words, it is no news.
            pair.client.knownCauses = ["closed by peer: no path found"]
        }
        let closed = try await PeerPair.wait(pair) { $0.clientClosed.futureResult }
        guard case .closedByPeer = closed else {
            Issue.record("expected the agent to end it, got \(closed)")
            return
        }
        let lines = try await PeerPair.on(pair) { $0.clientLog.lines }
        #expect(lines.map(\.level) == [.debug, .debug])
        #expect(lines.map(\.event) == ["peer.closed", "peer.paths"])
        try await PeerPair.finish(pair)
    }

    @Test func `the reason for closing reaches the other side`() async throws {
        let pair = try await PeerPair.connect()
        try await PeerPair.on(pair) { $0.agent?.close(reason: "going home") }
        let closed = try await PeerPair.wait(pair) { $0.clientClosed.futureResult }
        guard case .closedByPeer("going home") = closed else {
            Issue.record("expected the agent's words, got \(closed)")
            return
        }
        try await PeerPair.finish(pair)
    }

    @Test func `a peer that vanishes is noticed`() async throws {
        var configuration = try PeerPair.configuration()
        configuration.idleTimeout = .seconds(3)
        let pair = try await PeerPair.connect(client: configuration, agent: configuration)
        try await PeerPair.on(pair) { pair in
            pair.hub.isDown = true
            // The sockets close without a word, as when the process dies.
            pair.agent?.paths.close()
        }
        let closed = try await PeerPair.wait(pair) { $0.clientClosed.futureResult }
        guard case .tunnel(.idleTimedOut) = closed else {
            Issue.record("expected silence to be noticed, got \(closed)")
            return
        }
        try await PeerPair.finish(pair)
    }

    @Test func `the tunnel moves to another path when one dies`() async throws {
        var configuration = try PeerPair.configuration()
        configuration.ice.nominationDelay = .milliseconds(50)
        configuration.ice.consentInterval = .milliseconds(50)
        // Long enough for a busy machine to answer in between.
        configuration.ice.consentTimeout = .seconds(2)
        configuration.ice.keepaliveInterval = .milliseconds(100)
        let pair = try await PeerPair.connect(client: configuration, agent: configuration) { pair in
            pair.requested = { $0.refuse(.policy, reason: "") }
        }
        let before = try await PeerPair.on(pair) { pair in
            let before = try #require(pair.client.path?.remote)
            for socket in try #require(pair.agent?.paths.sockets.all)
            where socket.localAddress.protocol == before.protocol {
                socket.channel.close(promise: nil)
            }
            return before
        }
        // What is asked on the dead path is answered on the next.
        let answer = try await PeerPair.wait(pair) {
            $0.openAndFail(OpenTcp(host: "example.org", port: 80), timeout: .seconds(20))
        }
        #expect(answer == .refused(.policy, reason: ""))
        try await PeerPair.on(pair) { pair in
            // The other family, or the same by way of a new session.
            #expect(pair.client.path?.remote != before)
        }
        try await PeerPair.finish(pair)
    }

    @Test func `silence with packets outstanding makes a tunnel suspect`() async throws {
        let pair = try await PeerPair.connect()
        try await PeerPair.on(pair) { pair in
            pair.agent?.paths.close()
            pair.client.carrier?.open(OpenTcp(host: "example.org", port: 80), timeout: .seconds(20)) { _ in }
        }
        try await eventually(within: .seconds(30), "suspicion") {
            try await PeerPair.on(pair) { $0.suspicions == [true] }
        }
        try await PeerPair.on(pair) { #expect($0.client.isConnected) }
        try await PeerPair.finish(pair)
    }

    @Test func `nothing is left of a channel that has ended`() async throws {
        let remains = try await PeerPair.eventLoop.submit {
            NIOLoopBoundBox(Remains(), eventLoop: PeerPair.eventLoop)
        }.get()
        do {
            let pair = try await PeerPair.connect()
            try await PeerPair.on(pair) { pair in
                remains.value.channels = [Weak(pair.client), Weak(pair.agent)]
                remains.value.paths = [Weak(pair.client.paths), Weak(pair.agent?.paths)]
                remains.value.tunnels = [Weak(pair.client.carrier), Weak(pair.agent?.carrier)]
                pair.client.carrier?.open(OpenTcp(host: "x", port: 1), timeout: .seconds(1)) { _ in }
            }
            try await PeerPair.finish(pair)
        }
        // QUIC's closing period is 3 × PTO (RFC 9000 §10.2); then its timer lets go, too.
        while try await PeerPair.eventLoop.submit({ remains.value.count > 0 }).get() {
            try await ContinuousClock().sleep(for: .milliseconds(10))
        }
    }

    private struct Weak<Object: AnyObject> {
        weak var object: Object?
        init(_ object: Object?) { self.object = object }
    }

    private struct Remains {
        var channels: [Weak<PeerChannel<QUICTunnel>>] = []
        var paths: [Weak<PathDriver>] = []
        var tunnels: [Weak<QUICTunnel>] = []

        var count: Int {
            self.channels.count { $0.object != nil } + self.paths.count { $0.object != nil }
                + self.tunnels.count { $0.object != nil }
        }
    }

    @Test func `a channel that is closed before it starts says so`() async throws {
        let configuration = try PeerPair.configuration()
        let pair = try await PeerPair.eventLoop.submit {
            let pair = try PeerPair(client: configuration, agent: configuration)
            pair.client.close(reason: "changed my mind")
            pair.client.start { try QUICTunnel($0) }
            return NIOLoopBound(pair, eventLoop: PeerPair.eventLoop)
        }.get()
        guard case .closedHere = try await PeerPair.wait(pair, { $0.clientClosed.futureResult }) else {
            Issue.record("expected the words of close")
            return
        }
        try await PeerPair.finish(pair)
    }

    @Test func `a channel that nobody holds any more says goodbye when it is closed`() async throws {
        let pair = try await PeerPair.connect()
        try await PeerPair.on(pair) { pair in
            pair.agent?.close(reason: "not needed")
            pair.agent = nil
        }
        let closed = try await PeerPair.wait(pair) { $0.clientClosed.futureResult }
        guard case .closedByPeer = closed else {
            Issue.record("expected the agent to say goodbye, got \(closed)")
            return
        }
        try await PeerPair.finish(pair)
    }
}
