import NIOCore
import TLS
import TestSupport

@testable import QUIC

/// A client and an agent's end of a tunnel, each on an event loop that may stand still for a while, and several ways for the
/// datagrams between them. Each end sends by the way that it believes in, as `PathDriver` does.
final class MovingTunnel {
    /// One way, the same in both directions.
    struct Way {
        var delay: TimeAmount
        /// Whether nothing overtakes and nothing is lost: a bridge.
        var isOrdered = false
        /// Chances between 0 and 1, for each datagram that is sent before `end`.
        var loss = 0.0
        var reordering = 0.0
        var duplication = 0.0
        /// Nothing gets through in this time.
        var cut: Range<NIODeadline>?
        /// From here on nothing goes wrong.
        var end = NIODeadline.uptimeNanoseconds(0)
    }

    /// One end, and what has come for it that it has not looked at yet.
    final class End {
        let loop: LateEventLoop
        fileprivate(set) var session: QUICSession!
        let events = SessionRecorder()
        /// The way that it sends by.
        var way = 0
        /// When its process gets no processor.
        var stalls: [Range<NIODeadline>] = []
        fileprivate var inbox: [(at: NIODeadline, bytes: ByteBuffer, way: Int)] = []
        fileprivate var looksInSilence = 0

        fileprivate init(now: NIODeadline) { self.loop = LateEventLoop(now: now) }

        /// The first moment from `time` on at which the process runs.
        fileprivate func running(from time: NIODeadline) -> NIODeadline {
            self.stalls.reduce(time) { $1.contains($0) ? $1.upperBound : $0 }
        }

        fileprivate var nextEvent: NIODeadline? {
            [self.inbox.first?.at, self.loop.nextDeadline].compactMap { $0 }.min().map { self.running(from: $0) }
        }
    }

    let client: End
    let agent: End
    var ways: [Way]
    private(set) var now: NIODeadline
    private(set) var datagramCount = 0
    private var random: SeededGenerator
    /// Between two looks of a channel at its carrier.
    private static let watchInterval = TimeAmount.seconds(1)

    init(ways: [Way], start: NIODeadline, random: SeededGenerator) throws {
        self.ways = ways
        self.now = start
        self.random = random
        self.client = End(now: start)
        self.agent = End(now: start)
        self.client.session = try QUICSession.client(context: Self.clientContext.get(), eventLoop: self.client.loop) {
            [unowned self] in self.carry($0, from: self.client, to: self.agent)
        }
        self.agent.session = try QUICSession.server(context: Self.agentContext.get(), eventLoop: self.agent.loop) {
            [unowned self] in self.carry($0, from: self.agent, to: self.client)
        }
        for end in [self.client, self.agent] {
            end.session.delegate = end.events
            end.session.maximumDatagramSize = 1452
            self.watch(end)
        }
    }

    deinit {
        for end in [self.client, self.agent] { end.loop.clear() }
    }

    // The same that a tunnel has.
    private static func configured(_ configuration: QUICConfiguration) -> QUICConfiguration {
        var configuration = configuration
        configuration.allowsMigration = true
        configuration.discoversPathMTU = false
        configuration.keepAliveInterval = .seconds(10)
        configuration.maxIdleTimeout = .seconds(75)
        return configuration
    }

    private static let clientContext = Result {
        try QUICContext(role: .client, configuration: configured(.pinnedClient))
    }
    private static let agentContext = Result {
        try QUICContext(role: .server, configuration: configured(.pinnedServer))
    }

    /// At `time`, or as soon as it runs after that, the end sends by another way, and says so a turn of the loop later.
    func move(_ end: End, to way: Int, at time: NIODeadline) {
        end.loop.schedule(at: time) {
            guard end.way != way else { return }
            end.way = way
            end.session.isPathWritable = true
            end.loop.later { end.session.pathChanged() }
        }
    }

    /// The end's kernel takes nothing for a while, or until it moves.
    func congest(_ end: End, in time: Range<NIODeadline>) {
        end.loop.schedule(at: time.lowerBound) { end.session.isPathWritable = false }
        end.loop.schedule(at: time.upperBound) { end.session.isPathWritable = true }
    }

    /// What a channel does about a carrier that was silent for long.
    private func watch(_ end: End) {
        end.loop.schedule(at: end.loop.now + Self.watchInterval) { [unowned self] in
            let isSuspect = end.session.unansweredSince.map { end.loop.now - $0 >= .seconds(2) } ?? false
            if isSuspect {
                end.looksInSilence += 1
            } else {
                if end.looksInSilence >= 3 { end.session.pathChanged() }
                end.looksInSilence = 0
            }
            self.watch(end)
        }
    }

    /// Lets time pass until `condition` holds; false when it does not before `limit`.
    func run(until limit: NIODeadline, _ condition: () -> Bool) -> Bool {
        while !condition() {
            let next = [self.client, self.agent].compactMap { end in end.nextEvent.map { (end, $0) } }
                .min { $0.1 < $1.1 }
            guard let (end, time) = next, time <= limit else {
                self.now = limit
                return false
            }
            self.now = max(time, self.now)
            self.turn(end)
        }
        return true
    }

    /// One turn of an end's loop: what has come, in batches, and the timers that are due, before or after it.
    private func turn(_ end: End) {
        end.loop.setClock(self.now)
        if Bool.random(using: &self.random) { end.loop.runDue() }
        let due = end.inbox.prefix { $0.at <= self.now }
        end.inbox.removeFirst(due.count)
        var rest = due[...]
        while let first = rest.first {
            let most = Int.random(in: 1...16, using: &self.random)
            let batch = rest.prefix(most).prefix { $0.way == first.way }
            rest = rest.dropFirst(batch.count)
            for datagram in batch {
                end.session.receive(datagram.bytes, segmentSize: nil, on: UInt32(datagram.way))
            }
            end.session.receiveComplete()
            if Bool.random(using: &self.random) { end.loop.runDue() }
        }
        end.loop.runDue()
    }

    private func carry(_ transmit: QUICTransmit, from: End, to: End) {
        var rest = transmit.payload
        let step = transmit.segmentSize ?? rest.readableBytes
        while let datagram = rest.readSlice(length: min(step, rest.readableBytes)), datagram.readableBytes > 0 {
            self.datagramCount += 1
            let way = self.ways[from.way]
            guard way.cut?.contains(from.loop.now) != true else { continue }
            let mayFail = !way.isOrdered && from.loop.now < way.end
            guard !mayFail || !self.happens(way.loss) else { continue }
            var delay = way.delay
            if mayFail, self.happens(way.reordering) {
                delay = delay + .microseconds(Int64.random(in: 0...20_000, using: &self.random))
            }
            self.deliver(datagram, to: to, by: from.way, at: from.loop.now + delay)
            if mayFail, self.happens(way.duplication) {
                self.deliver(datagram, to: to, by: from.way, at: from.loop.now + delay + .milliseconds(3))
            }
        }
    }

    private func deliver(_ datagram: ByteBuffer, to end: End, by way: Int, at time: NIODeadline) {
        var index = end.inbox.endIndex
        while index > 0, end.inbox[index - 1].at > time { index -= 1 }
        end.inbox.insert((time, datagram, way), at: index)
    }

    private func happens(_ chance: Double) -> Bool {
        chance > 0 && Double.random(in: 0..<1, using: &self.random) < chance
    }
}
