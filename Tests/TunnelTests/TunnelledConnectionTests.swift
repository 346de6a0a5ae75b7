import AppProto
import Crypto
import NIOCore
import PeerChannel
import PeerTestSupport
import QUIC
import TLS
import TestSupport
import Testing

@testable import Tunnel

/// TCP through the tunnel, with plain sockets at the far ends.
@Suite(.timeLimit(.minutes(1)))
struct TunnelledConnectionTests {
    /// A client's socket and the target's, with the tunnel between them.
    private struct Line {
        let pair: NIOLoopBound<PeerPair>
        let client: BlockingSocket
        let target: BlockingSocket
    }

    private func line() async throws -> Line {
        let pair = try await PeerPair.connect()
        return try await self.line(through: pair)
    }

    private func line(through pair: NIOLoopBound<PeerPair>) async throws -> Line {
        let (targets, arrived) = AsyncStream.makeStream(of: BlockingSocket.self)
        let service = try TCPService { arrived.yield($0) }
        let port = try await PeerPair.wait(pair) { $0.listen(forwardingTo: service.port) }
        let client = try await onThread { try BlockingSocket(connectingTo: "127.0.0.1", port: port) }
        for await target in targets {
            return Line(pair: pair, client: client, target: target)
        }
        throw CancellationError()
    }

    @Test func `bytes go both ways`() async throws {
        let line = try await self.line()
        try await onThread {
            try line.client.send("ping")
            #expect(try line.target.receive(exactly: 4) == Array("ping".utf8))
            try line.target.send("pong")
            #expect(try line.client.receive(exactly: 4) == Array("pong".utf8))
        }
        try await PeerPair.finish(line.pair)
    }

    @Test(arguments: [(CongestionControl.cubic, CongestionControl.bbr), (.bbr, .cubic)])
    func `each side sends by its own congestion control`(client: CongestionControl, agent: CongestionControl)
        async throws
    {
        var (clientSide, agentSide) = (try PeerPair.configuration(), try PeerPair.configuration())
        clientSide.congestionControl = client
        agentSide.congestionControl = agent
        let line = try await self.line(through: try await PeerPair.connect(client: clientSide, agent: agentSide))
        try await PeerPair.on(line.pair) { pair in
            #expect(pair.client.carrier?.session.congestionControl == client)
            #expect(pair.agent?.carrier?.session.congestionControl == agent)
        }
        let bytes = SecureRandom.bytes(1 << 20)
        for (source, sink) in [(line.client, line.target), (line.target, line.client)] {
            async let sent: Void = onThread { try source.send(bytes) }
            #expect(try await onThread { try sink.receive(exactly: bytes.count) } == bytes)
            try await sent
        }
        try await PeerPair.finish(line.pair)
    }

    @Test(arguments: [MemorySignaling.Side.client, .agent])
    func `a hundred megabytes arrive unchanged`(sender: MemorySignaling.Side) async throws {
        let line = try await self.line()
        let (source, sink) = sender == .client ? (line.client, line.target) : (line.target, line.client)
        let block = SecureRandom.bytes(1 << 20)
        async let sent: [UInt8] = onThread {
            var chain: [UInt8] = []
            for index in 0..<100 {
                var bytes = block
                bytes[0] = UInt8(index)
                try source.send(bytes)
                chain = SHA256.hash(chain + SHA256.hash(bytes))
            }
            source.shutdownSending()
            return chain
        }
        let received = try await onThread {
            var chain: [UInt8] = []
            for _ in 0..<100 {
                chain = SHA256.hash(chain + SHA256.hash(try sink.receive(exactly: 1 << 20)))
            }
            #expect(try sink.receive().isEmpty)
            return chain
        }
        #expect(try await sent == received)
        try await PeerPair.finish(line.pair)
    }

    @Test(arguments: [MemorySignaling.Side.client, .agent])
    func `a side that has ended sending still receives`(first: MemorySignaling.Side) async throws {
        let line = try await self.line()
        let (early, late) = first == .client ? (line.client, line.target) : (line.target, line.client)
        try await onThread {
            try early.send("question")
            early.shutdownSending()
            #expect(try late.receiveToEnd() == Array("question".utf8))
            try late.send("a long answer")
            late.shutdownSending()
            #expect(try early.receiveToEnd() == Array("a long answer".utf8))
        }
        try await PeerPair.finish(line.pair)
        try await PeerPair.on(line.pair) { pair in
            #expect(pair.summaries.count == 2)
            #expect(pair.summaries.allSatisfy { !$0.wasReset })
        }
    }

    @Test(arguments: [MemorySignaling.Side.client, .agent])
    func `a reset on one side is a reset on the other`(first: MemorySignaling.Side) async throws {
        let line = try await self.line()
        let (early, late) = first == .client ? (line.client, line.target) : (line.target, line.client)
        try await onThread {
            try early.send("x")
            #expect(try late.receive(exactly: 1) == Array("x".utf8))
            early.reset()
            #expect { try late.receive() } throws: { ($0 as? SocketFailure)?.isReset == true }
        }
        try await PeerPair.finish(line.pair)
    }

    @Test func `an answer arrives whole even if its sender stops reading the request`() async throws {
        let line = try await self.line()
        let answer = [UInt8](repeating: 9, count: 2 << 20)
        try await onThread {
            try line.client.send("first part")
            #expect(try line.target.receive(exactly: 10).count == 10)
            try line.target.send(answer)
            line.target.shutdownSending()
            #expect(try line.client.receiveToEnd() == answer)
            // A target that is gone then resets what still comes, and the client hears of it.
            line.target.reset()
            #expect(throws: SocketFailure.self) {
                while true { try line.client.send([UInt8](repeating: 1, count: 1 << 16)) }
            }
        }
        try await PeerPair.finish(line.pair)
    }

    @Test func `a reader that stops stalls its own stream and no other`() async throws {
        let line = try await self.line()
        // Far more than all buffers on the way hold: sending stops by itself.
        let block = [UInt8](repeating: 1, count: 1 << 20)
        var stuck = 0
        var refusals = 0
        while refusals < 20, stuck < 200 << 20 {
            let count = try line.client.sendWithoutWaiting(block)
            stuck += count
            refusals = count == 0 ? refusals + 1 : 0
            // That nothing more is taken can only be seen by looking again.
            if count == 0 { try await ContinuousClock().sleep(for: .milliseconds(20)) }
        }
        #expect(stuck < 64 << 20)

        let other = try await self.line(through: line.pair)
        try await onThread {
            try other.client.send("still alive?")
            #expect(try other.target.receive(exactly: 12) == Array("still alive?".utf8))
        }
        // And the stalled one goes on where it stopped.
        let rest = try await onThread {
            line.client.shutdownSending()
            var total = 0
            while true {
                let count = try line.target.receive(1 << 20).count
                if count == 0 { return total }
                total += count
            }
        }
        #expect(rest == stuck)
        try await PeerPair.finish(line.pair)
    }

    @Test func `what the target sends at once is not lost`() async throws {
        let pair = try await PeerPair.connect()
        let service = try TCPService { try $0.send("220 hello") }
        let port = try await PeerPair.wait(pair) { $0.listen(forwardingTo: service.port) }
        let greeting = try await onThread {
            try BlockingSocket(connectingTo: "127.0.0.1", port: port).receiveToEnd()
        }
        #expect(greeting == Array("220 hello".utf8))
        try await PeerPair.finish(pair)
    }

    @Test func `the agent's refusal arrives with its code and reason`() async throws {
        let pair = try await PeerPair.connect { pair in
            pair.requested = { $0.refuse(.policy, reason: "not from here") }
        }
        let error = try await PeerPair.wait(pair) { $0.openAndFail(OpenTcp(host: "example.org", port: 80)) }
        #expect(error == .refused(.policy, reason: "not from here"))
        try await PeerPair.on(pair) { #expect($0.client.isConnected) }
        try await PeerPair.finish(pair)
    }

    @Test func `the wait for a silent agent has a limit, and the agent is told when it is over`() async throws {
        let pair = try await PeerPair.connect()
        let gaveUp = PeerPair.eventLoop.makePromise(of: Void.self)
        try await PeerPair.on(pair) { pair in
            pair.requested = { request in
                // Held by its own closure until then.
                request.cancelled = {
                    #expect(request.accept(boundAddress: nil) == nil)
                    gaveUp.succeed()
                }
            }
        }
        let error = try await PeerPair.wait(pair) {
            $0.openAndFail(OpenTcp(host: "example.org", port: 80), timeout: .seconds(1))
        }
        #expect(error == .timedOut(after: .seconds(1)))
        try await gaveUp.futureResult.get()
        try await PeerPair.finish(pair)
    }

    @Test func `targets that no message can carry are refused at once`() async throws {
        let pair = try await PeerPair.connect()
        for target in [
            OpenTcp(host: "", port: 1), OpenTcp(host: "x", port: 0),
            OpenTcp(host: String(repeating: "x", count: 256), port: 1),
        ] {
            let error = try await PeerPair.wait(pair) { $0.openAndFail(target) }
            #expect(error == .invalidTarget)
        }
        try await PeerPair.finish(pair)
        let error = try await PeerPair.wait(pair) { $0.openAndFail(OpenTcp(host: "x", port: 1)) }
        #expect(error == .notConnected)
    }

    @Test func `more streams than the agent allows wait until there is room`() async throws {
        var agent = try PeerPair.configuration()
        agent.maxConcurrentStreams = 2
        let pair = try await PeerPair.connect(agent: agent) { pair in
            pair.requested = { request in
                request.cancelled = { _ = request }
            }
        }
        let target = OpenTcp(host: "example.org", port: 80)
        let held = try await PeerPair.on(pair) { pair in
            let openings = (0..<2).map { _ in pair.client.carrier?.open(target, timeout: .seconds(20)) { _ in } }
            return NIOLoopBound(openings, eventLoop: PeerPair.eventLoop)
        }
        // In vain, for as long as it may take.
        let error = try await PeerPair.wait(pair) { $0.openAndFail(target, timeout: .milliseconds(20)) }
        #expect(error == .streamLimitReached)
        let third = try await PeerPair.on(pair) { pair in
            #expect(pair.client.carrier?.openStreams == 2)
            pair.requested = { $0.refuse(.refused, reason: "at last") }
            // One that gives up leaves no trace, and does not take the place of the next.
            pair.client.carrier?.open(target, timeout: .seconds(20)) { _ in Issue.record("completed after its end") }
                .cancel()
            return NIOLoopBound(pair.openAndFail(target, timeout: .seconds(20)), eventLoop: PeerPair.eventLoop)
        }
        try await PeerPair.on(pair) { _ in held.value[0]?.cancel() }
        let answer = try await PeerPair.wait(pair) { _ in third.value }
        #expect(answer == .refused(.refused, reason: "at last"))
        try await PeerPair.finish(pair)
    }

    @Test func `openings that wait for room end with the tunnel`() async throws {
        var agent = try PeerPair.configuration()
        agent.maxConcurrentStreams = 1
        let pair = try await PeerPair.connect(agent: agent) { pair in
            pair.requested = { request in
                request.cancelled = { _ = request }
            }
        }
        let target = OpenTcp(host: "example.org", port: 80)
        let waiting = try await PeerPair.on(pair) { pair in
            let results = (0..<3).map { _ in pair.openAndFail(target, timeout: .seconds(20)) }
            #expect(pair.client.carrier?.openStreams == 1)
            return NIOLoopBound(results, eventLoop: PeerPair.eventLoop)
        }
        try await PeerPair.finish(pair)
        for index in 0..<3 {
            let error = try await PeerPair.wait(pair) { _ in waiting.value[index] }
            #expect(error == .notConnected)
        }
    }
}
