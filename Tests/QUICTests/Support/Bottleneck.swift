import NIOCore
import NIOEmbedded
import TestSupport

@testable import QUIC

/// Links that connections share: what is sent waits in a queue, leaves it at the link's rate, may get lost, and arrives a while
/// later. All on one embedded loop with a clock of its own.
final class Bottleneck {
    struct Link {
        /// Bits per second, counting 28 bytes of IPv4 and UDP headers for each datagram.
        var rate: Double
        /// One way.
        var delay: TimeAmount
        /// Bytes that wait at most; what comes when it is full is dropped.
        var queue: Int
        /// Chance between 0 and 1 for each datagram.
        var loss = 0.0

        init(megabits: Double, roundTrip: TimeAmount, queue: Int? = nil, loss: Double = 0) {
            self.rate = megabits * 1e6
            self.delay = .nanoseconds(roundTrip.nanoseconds / 2)
            self.queue = queue ?? max(Int(megabits * 1e6 / 8 * Double(roundTrip.nanoseconds) / 1e9), 64 << 10)
            self.loss = loss
        }
    }

    /// One direction.
    private struct Direction {
        var freeAt = NIODeadline.uptimeNanoseconds(0)
        var dropped = 0
        var lost = 0
    }

    /// A connection over the link.
    final class Tunnel {
        fileprivate(set) var client: QUICSession!
        fileprivate(set) var server: QUICSession!
        let clientEvents = SessionRecorder()
        let serverEvents = SessionRecorder()
    }

    let loop: EmbeddedEventLoop
    /// Takes effect for what is sent from then on.
    var link: Link
    private var up = Direction()
    private var down = Direction()
    private var random: SeededGenerator
    private static let headers = 28

    init(_ link: Link, seed: UInt64 = 1) {
        self.link = link
        self.loop = EmbeddedEventLoop()
        self.random = SeededGenerator(seed)
        self.loop.advanceTime(by: .seconds(1))
    }

    /// A connection whose handshake is over.
    func connect(
        client: CongestionControl = .bbr, server: CongestionControl = .bbr, until limit: TimeAmount = .seconds(10)
    ) throws -> Tunnel {
        func configured(_ configuration: QUICConfiguration, _ algorithm: CongestionControl) -> QUICConfiguration {
            var configuration = configuration
            configuration.allowsMigration = true
            configuration.discoversPathMTU = false
            configuration.congestionControl = algorithm
            return configuration
        }
        let tunnel = Tunnel()
        tunnel.client = try QUICSession.client(configuration: configured(.pinnedClient, client), eventLoop: self.loop) {
            [unowned self, unowned tunnel] in self.send($0, toServer: true, of: tunnel)
        }
        tunnel.server = try QUICSession.server(configuration: configured(.pinnedServer, server), eventLoop: self.loop) {
            [unowned self, unowned tunnel] in self.send($0, toServer: false, of: tunnel)
        }
        for (session, events) in [(tunnel.client!, tunnel.clientEvents), (tunnel.server!, tunnel.serverEvents)] {
            session.delegate = events
            session.maximumDatagramSize = 1452
        }
        let end = self.loop.now + limit
        self.loop.run()
        while !(tunnel.clientEvents.isConnected && tunnel.serverEvents.isConnected), self.loop.now < end {
            self.loop.advanceTime(by: .milliseconds(1))
        }
        return tunnel
    }

    func run(for time: TimeAmount) {
        self.loop.run()
        self.loop.advanceTime(by: time)
    }

    /// Something else that is sent, as by a TCP beside the tunnel: false when the queue has no room for it.
    func carry(_ size: Int, toServer: Bool, _ arrived: @escaping () -> Void) -> Bool {
        let now = self.loop.now
        var direction = toServer ? self.up : self.down
        defer { if toServer { self.up = direction } else { self.down = direction } }
        let waiting = max((direction.freeAt - now).nanoseconds, 0)
        guard Double(waiting) / 1e9 * self.link.rate / 8 + Double(size) <= Double(self.link.queue) else {
            direction.dropped += 1
            return false
        }
        direction.freeAt =
            max(direction.freeAt, now) + .nanoseconds(Int64(Double((size + Self.headers) * 8) / self.link.rate * 1e9))
        if self.link.loss > 0, Double.random(in: 0..<1, using: &self.random) < self.link.loss {
            direction.lost += 1
            return true
        }
        self.loop.assumeIsolated().scheduleTask(in: direction.freeAt - now + self.link.delay, arrived)
        return true
    }

    private func send(_ transmit: QUICTransmit, toServer: Bool, of tunnel: Tunnel) {
        var rest = transmit.payload
        let step = transmit.segmentSize ?? rest.readableBytes
        while let datagram = rest.readSlice(length: min(step, rest.readableBytes)), datagram.readableBytes > 0 {
            _ = self.carry(datagram.readableBytes, toServer: toServer) { [weak tunnel] in
                guard let session = toServer ? tunnel?.server : tunnel?.client else { return }
                session.receive(datagram, segmentSize: nil, on: 1)
                session.receiveComplete()
            }
        }
    }
}

/// Counts and consumes.
final class Meter: QUICStreamDelegate {
    private(set) var received = 0

    func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        self.received += bytes.readableBytes
        stream.consume(bytes.readableBytes)
    }
    func streamFinished(_ stream: QUICStream) {}
    func stream(_ stream: QUICStream, resetWith code: UInt64) {}
    func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
}

/// Asks its peer, waits for the answer and a while, and asks again; notes how long each answer takes.
final class Pinger: QUICStreamDelegate {
    private let loop: EmbeddedEventLoop
    private let stream: QUICStream
    private let interval: TimeAmount
    private var sent = NIODeadline.uptimeNanoseconds(0)
    private var missing = 0
    private(set) var times: [TimeAmount] = []

    init(_ session: QUICSession, on loop: EmbeddedEventLoop, every interval: TimeAmount = .milliseconds(20)) throws {
        self.loop = loop
        self.stream = try session.openStream()
        self.interval = interval
        self.stream.delegate = self
        self.ask()
    }

    private func ask() {
        self.sent = self.loop.now
        self.missing = 64
        self.stream.write(ByteBuffer(repeating: 1, count: self.missing))
    }

    func percentile(_ part: Double) -> TimeAmount {
        let sorted = self.times.sorted()
        return sorted.isEmpty ? .hours(1) : sorted[min(Int(Double(sorted.count) * part), sorted.count - 1)]
    }

    func reset() { self.times = [] }

    func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
        stream.consume(bytes.readableBytes)
        self.missing -= bytes.readableBytes
        guard self.missing == 0 else { return }
        self.times.append(self.loop.now - self.sent)
        self.loop.assumeIsolated().scheduleTask(in: self.interval) { [weak self] in self?.ask() }
    }
    func streamFinished(_ stream: QUICStream) {}
    func stream(_ stream: QUICStream, resetWith code: UInt64) {}
    func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
    func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
}
