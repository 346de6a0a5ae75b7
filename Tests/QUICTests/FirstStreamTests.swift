import NIOCore
import TLS
import TestSupport
import Testing

@testable import QUIC

/// The very first stream of a tunnel, opened while the tunnel moves from the bridge to a direct path.
@Suite struct FirstStreamTests {
    private static let answerBytes = 300_000
    private static let resultBytes = 14
    private static let request = ByteBuffer(repeating: 0x2A, count: 60)

    /// Answers a request after a while: a result, then as many bytes as the stream takes.
    private final class Target: QUICStreamDelegate {
        private let loop: LateEventLoop
        private let delay: TimeAmount
        private let pump = Pump(total: FirstStreamTests.answerBytes)
        private var received = 0
        private var isStarted = false

        init(loop: LateEventLoop, delay: TimeAmount) {
            self.loop = loop
            self.delay = delay
        }

        func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
            self.received += bytes.readableBytes
            stream.consume(bytes.readableBytes)
            guard self.received == FirstStreamTests.request.readableBytes else { return }
            self.loop.schedule(at: self.loop.now + self.delay) {
                stream.write(ByteBuffer(repeating: 0, count: FirstStreamTests.resultBytes))
                self.loop.schedule(at: self.loop.now + .milliseconds(1)) {
                    self.isStarted = true
                    self.pump.start(stream)
                }
            }
        }

        func streamBecameWritable(_ stream: QUICStream) { if self.isStarted { self.pump.start(stream) } }
        func streamFinished(_ stream: QUICStream) {}
        func stream(_ stream: QUICStream, resetWith code: UInt64) {}
        func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
        func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
    }

    /// Takes what comes, and is done with it a little later.
    private final class Reader: QUICStreamDelegate {
        private let loop: LateEventLoop
        private let delay: TimeAmount
        private(set) var received = 0
        private(set) var isFinished = false

        init(loop: LateEventLoop, delay: TimeAmount) {
            self.loop = loop
            self.delay = delay
        }

        func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
            self.received += bytes.readableBytes
            guard self.delay > .zero else { return stream.consume(bytes.readableBytes) }
            let count = bytes.readableBytes
            self.loop.schedule(at: self.loop.now + self.delay) { stream.consume(count) }
        }

        func streamFinished(_ stream: QUICStream) { self.isFinished = true }
        func stream(_ stream: QUICStream, resetWith code: UInt64) {}
        func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
        func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
    }

    /// What happens in one run.
    struct Plan {
        var ways: [MovingTunnel.Way]
        var clientMoves: [(way: Int, at: NIODeadline)] = []
        var agentMoves: [(way: Int, at: NIODeadline)] = []
        var clientStalls: [Range<NIODeadline>] = []
        var agentStalls: [Range<NIODeadline>] = []
        var clientCongestion: [Range<NIODeadline>] = []
        var agentCongestion: [Range<NIODeadline>] = []
        var opensAfter: TimeAmount
        var dialTime: TimeAmount
        var readTime: TimeAmount
        /// When nothing happens any more.
        var calm: NIODeadline
        var longestStall = TimeAmount.zero
        /// From the end of the first answer to the second request.
        var pause = TimeAmount.zero
    }

    static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func plan(_ random: inout SeededGenerator) -> Plan {
        func milliseconds(_ range: ClosedRange<Int64>) -> TimeAmount {
            .microseconds(Int64.random(in: range.lowerBound * 1000...range.upperBound * 1000, using: &random))
        }
        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

        let bridge = MovingTunnel.Way(delay: milliseconds(chance(50) ? 1...5 : 5...60), isOrdered: true)
        let trouble = Self.start + milliseconds(0...2000)
        var ways = [bridge]
        for _ in 1...2 {
            var way = MovingTunnel.Way(delay: milliseconds(chance(50) ? 0...2 : 1...40), end: trouble)
            way.loss = chance(50) ? 0 : Double.random(in: 0...0.3, using: &random)
            way.reordering = chance(50) ? 0 : Double.random(in: 0...0.3, using: &random)
            way.duplication = chance(70) ? 0 : 0.1
            ways.append(way)
        }
        var plan = Plan(
            ways: ways, opensAfter: chance(60) ? .zero : milliseconds(0...300), dialTime: milliseconds(0...50),
            readTime: chance(50) ? .zero : milliseconds(0...5), calm: trouble)

        // Somewhere between the client's first packet and the end of the answer.
        var moved = Self.start + milliseconds(0...(100 + bridge.delay.nanoseconds / 1_000_000 * 12))
        let route: [Int] = chance(60) ? [1] : chance(50) ? [1, 0] : chance(50) ? [1, 2] : [1, 0, 1]
        for way in route {
            plan.clientMoves.append((way, moved))
            let shift = chance(50) ? milliseconds(-20...20) : milliseconds(-500...500)
            plan.agentMoves.append((way, max(moved + shift, Self.start)))
            if chance(20), way != 0 {
                let cut = moved..<moved + milliseconds(1...2000)
                plan.ways[way].cut = cut
                plan.calm = max(plan.calm, cut.upperBound)
            }
            plan.calm = max(plan.calm, moved, moved + shift)
            moved = moved + milliseconds(chance(50) ? 1...100 : 1...2000)
        }

        func stalls() -> [Range<NIODeadline>] {
            guard chance(60) else { return [] }
            var stalls: [Range<NIODeadline>] = []
            var from = Self.start + milliseconds(0...(chance(50) ? 100 : 1000))
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let length = milliseconds(chance(50) ? 1...200 : 200...3000)
                stalls.append(from..<from + length)
                from = from + length + milliseconds(1...300)
            }
            return stalls
        }
        plan.clientStalls = stalls()
        plan.agentStalls = stalls()
        for stall in plan.clientStalls + plan.agentStalls {
            plan.calm = max(plan.calm, stall.upperBound)
            plan.longestStall = max(plan.longestStall, stall.upperBound - stall.lowerBound)
        }
        func congestion() -> [Range<NIODeadline>] {
            (0..<(chance(30) ? 3 : 0)).map { _ in
                let from = Self.start + milliseconds(0...300)
                return from..<from + milliseconds(1...10)
            }
        }
        plan.clientCongestion = congestion()
        plan.agentCongestion = congestion()
        return plan
    }

    struct Outcome {
        var time: TimeAmount?
        var plan: Plan
        var closed: [QUICCloseReason]
        var isConnected: Bool
        var received: Int
        var text: String
    }

    static func run(seed: UInt64, limit: TimeAmount = .seconds(60)) throws -> Outcome {
        var random = SeededGenerator(seed)
        var plan = Self.plan(&random)
        var other = SeededGenerator(~seed)
        plan.pause = .milliseconds(Int64.random(in: 0...4000, using: &other))
        let tunnel = try MovingTunnel(ways: plan.ways, start: Self.start, random: random)
        let (client, agent) = (tunnel.client, tunnel.agent)
        (client.stalls, agent.stalls) = (plan.clientStalls, plan.agentStalls)
        for move in plan.clientMoves { tunnel.move(client, to: move.way, at: move.at) }
        for move in plan.agentMoves { tunnel.move(agent, to: move.way, at: move.at) }
        for time in plan.clientCongestion { tunnel.congest(client, in: time) }
        for time in plan.agentCongestion { tunnel.congest(agent, in: time) }
        agent.events.onStream = { _ in Target(loop: agent.loop, delay: plan.dialTime) }
        let readers = [Reader(loop: client.loop, delay: plan.readTime), Reader(loop: client.loop, delay: .zero)]
        func request(_ reader: Reader, at time: NIODeadline) {
            client.loop.schedule(at: time) {
                guard let stream = try? client.session.openStream() else { return }
                stream.delegate = reader
                stream.write(Self.request)
                stream.finish()
            }
        }
        client.events.onConnected = { session in request(readers[0], at: client.loop.now + plan.opensAfter) }
        var reader = readers[0]
        var isDone = tunnel.run(until: plan.calm + limit) {
            reader.isFinished || client.events.closeReason != nil || agent.events.closeReason != nil
        }
        var time: TimeAmount? = isDone && reader.isFinished ? tunnel.now - plan.calm : nil
        if time != nil {
            reader = readers[1]
            let opened = tunnel.now + plan.pause
            request(reader, at: opened)
            isDone = tunnel.run(until: max(plan.calm, opened) + limit) {
                reader.isFinished || client.events.closeReason != nil || agent.events.closeReason != nil
            }
            time = isDone && reader.isFinished ? max(time!, tunnel.now - max(plan.calm, opened)) : nil
        }
        var text = "received \(reader.received)\n"
        for (name, end) in [("client", client), ("agent", agent)] {
            guard let connection = end.session.connection else { continue }
            let statistics = connection.statistics
            let timer = connection.nextDeadline.map { "\($0 - tunnel.now)" } ?? "none"
            text += """
                \(name): way \(end.way), moves \(connection.moves.count), srtt \(statistics.smoothed_rtt / 1_000_000) ms, \
                rttvar \(statistics.rttvar / 1_000_000) ms, lost \(statistics.pkt_lost), deadline in \(timer), \
                in flight \(statistics.bytes_in_flight), cwnd \(statistics.cwnd), \
                streams \(connection.streams.count)

                """
        }
        return Outcome(
            time: time, plan: plan,
            closed: [client.events.closeReason, agent.events.closeReason].compactMap { $0 },
            isConnected: client.events.isConnected, received: reader.received, text: text)
    }

    /// Tens of thousands of others have been tried by hand.
    @Test(arguments: 0..<200)
    func `the first requests of a tunnel are answered, whatever it does meanwhile`(seed: UInt64) throws {
        try self.expectAnswers(seed: seed)
    }

    /// Those that were not, or only after the next keep-alives.
    @Test(arguments: [1790, 9347, 25998, 34813, 36267, 38033, 42421, 42814, 49121])
    func `requests that once went unanswered are answered`(seed: UInt64) throws {
        try self.expectAnswers(seed: seed)
    }

    private func expectAnswers(seed: UInt64) throws {
        let outcome = try Self.run(seed: seed)
        #expect(outcome.closed.isEmpty)
        let time = try #require(outcome.time, "\(outcome.text)")
        // Round trips look as long as the ends stood still, and what is lost is sent again that much later.
        #expect(time <= .seconds(8) + outcome.plan.longestStall, "\(outcome.text)")
    }
}
