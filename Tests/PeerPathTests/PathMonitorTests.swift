import NIOCore
import STUN
import TestSupport
import Testing

@testable import PeerPath

/// A monitor and a path that carries what the test says, in virtual time.
private struct MonitoredPath {
    static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    var monitor: PathMonitor
    var now = MonitoredPath.start
    /// Largest datagram that gets through, in bytes; 0: only small ones.
    var carries: Int
    var isDead = false
    /// Every so many-th probe is lost.
    var loses: Int?
    var answersPadded = true
    var roundTripTime = TimeAmount.milliseconds(20)
    private(set) var events: [(PathMonitor.Event, TimeAmount)] = []
    private(set) var probes: [Int] = []
    private var next: UInt64 = 0
    private var answers: [(id: TransactionID, at: NIODeadline)] = []

    init(ceiling: Int = 1452, carries: Int = 1452, usesPadding: Bool = true) {
        self.carries = carries
        self.monitor = PathMonitor(
            ceiling: ceiling, usesPadding: usesPadding, roundTripTime: nil, at: Self.start, random: SeededGenerator(7))
        self.flush()
    }

    private mutating func flush() {
        while let size = self.monitor.nextProbe() {
            self.next += 1
            self.probes.append(size)
            let id = TransactionID(high: 0, low: self.next)
            self.monitor.sent(id, size: size)
            let isLost = self.loses.map { self.next.isMultiple(of: UInt64($0)) } ?? false
            if !self.isDead, !isLost, size <= self.carries || size == 0 {
                self.answers.append((id, self.now + self.roundTripTime))
            }
        }
        while let event = self.monitor.nextEvent() { self.events.append((event, self.now - Self.start)) }
    }

    mutating func forgetProbes() { self.probes = [] }

    mutating func run(for time: TimeAmount) {
        let end = self.now + time
        while true {
            let answer = self.answers.map(\.at).min()
            let at = min(answer ?? .distantFuture, self.monitor.nextDeadline)
            guard at <= end else { break }
            self.now = max(at, self.now)
            if let index = self.answers.firstIndex(where: { $0.at <= self.now }) {
                let id = self.answers.remove(at: index).id
                self.monitor.answered(
                    id, hasPadding: self.answersPadded, roundTripTime: self.roundTripTime, at: self.now)
            } else {
                self.monitor.handleTimeout(at: self.now)
            }
            self.flush()
        }
        self.now = end
    }

    var kinds: [PathMonitor.Event] { self.events.map(\.0) }
}

@Suite struct PathMonitorTests {
    @Test func `only a path that answers small probes but none of full size carries too little`() throws {
        var path = MonitoredPath(carries: 1000)
        path.run(for: .seconds(30))
        let (event, after) = try #require(path.events.first)
        #expect(event == .carriesTooLittle)
        #expect(after < .seconds(10))
        var silent = MonitoredPath()
        silent.isDead = true
        silent.run(for: .seconds(60))
        #expect(!silent.kinds.contains(.carriesTooLittle))
        // A large one that gets through late is early enough.
        var late = MonitoredPath(carries: 1000)
        late.run(for: .milliseconds(2500))
        #expect(late.kinds.isEmpty)
        late.carries = 1452
        late.run(for: .seconds(3))
        #expect(late.kinds == [.confirmed])
    }

    @Test func `a path that carries the largest size is confirmed after one round trip`() {
        var path = MonitoredPath()
        #expect(!path.monitor.isConfirmed)
        path.run(for: .milliseconds(21))
        #expect(path.kinds == [.confirmed])
        #expect(path.monitor.limit == 1452)
        #expect(path.probes == [1452, 1200])
        path.forgetProbes()
        path.run(for: .seconds(60))
        #expect(path.kinds == [.confirmed])
        #expect(12...20 ~= path.probes.count)
        #expect(Set(path.probes) == [0], "a path at rest is asked in few words")
    }

    @Test(arguments: [1200, 1232, 1252, 1372, 1392, 1440, 1451])
    func `the search for the size comes close to what a path carries`(
        size: Int
    ) {
        var path = MonitoredPath(carries: size)
        path.run(for: .milliseconds(21))
        #expect(path.kinds == [.confirmed])
        #expect(path.monitor.limit == 1200)
        path.run(for: .seconds(15))
        #expect(size - 12...size ~= path.monitor.limit)
        #expect(!path.kinds.contains { if case .lost = $0 { true } else { false } })
    }

    @Test func `a path for small datagrams alone is never confirmed`() {
        var path = MonitoredPath(carries: 600)
        path.run(for: .seconds(30))
        #expect(path.kinds == [.carriesTooLittle])
        path.carries = 1300
        path.run(for: .seconds(6))
        #expect(path.kinds.dropFirst().first == .confirmed)
    }

    @Test func `full size in one direction is not enough`() {
        var path = MonitoredPath()
        path.answersPadded = false
        path.run(for: .seconds(30))
        #expect(path.kinds == [.carriesTooLittle])
    }

    @Test(arguments: [false, true]) func `a dead path is noticed within 10 s, and comes back`(busy: Bool) {
        for delay in stride(from: Int64(0), to: 5000, by: 250) {
            var path = MonitoredPath()
            path.run(for: .milliseconds(1000 + delay))
            path.isDead = true
            if busy { path.monitor.trafficSeen() }
            let died = path.now
            path.run(for: .seconds(10))
            #expect(path.kinds == [.confirmed, .lost(.silent)])
            #expect(!path.monitor.isConfirmed)
            path.isDead = false
            path.run(for: .seconds(2))
            #expect(path.kinds == [.confirmed, .lost(.silent), .confirmed], "died after \(died - MonitoredPath.start)")
            #expect(path.monitor.limit == 1452)
        }
    }

    @Test func `a dead path is noticed within 10 s while its size is being searched`() {
        var path = MonitoredPath(carries: 1300)
        path.run(for: .milliseconds(1500))
        path.isDead = true
        path.run(for: .seconds(10))
        #expect(path.kinds.last == .lost(.silent))
    }

    @Test func `a suspected path is probed at once`() {
        var path = MonitoredPath()
        path.run(for: .seconds(1))
        path.isDead = true
        path.monitor.suspect(at: path.now)
        path.run(for: .seconds(3))
        #expect(path.kinds == [.confirmed, .lost(.silent)])
    }

    @Test func `a path that comes to carry less is noticed, and that it carries more again`() {
        var path = MonitoredPath()
        path.run(for: .seconds(1))
        path.carries = 1252
        path.monitor.trafficSeen()
        path.run(for: .seconds(20))
        #expect(path.kinds.prefix(2) == [.confirmed, .limitChanged])
        #expect(path.events.count > 1 && path.events[1].1 < .seconds(10))
        #expect(1240...1252 ~= path.monitor.limit)
        path.carries = 1452
        path.run(for: .seconds(70))
        #expect(path.monitor.limit == 1452)
        #expect(!path.kinds.contains { if case .lost = $0 { true } else { false } })
    }

    @Test func `a path that comes to carry only small datagrams is lost`() {
        var path = MonitoredPath()
        path.run(for: .seconds(1))
        path.carries = 500
        path.monitor.trafficSeen()
        path.run(for: .seconds(30))
        #expect(path.kinds.suffix(2) == [.lost(.carriesOnlySmallDatagrams), .carriesTooLittle])
    }

    @Test func `one probe in five lost changes nothing`() {
        var path = MonitoredPath()
        path.run(for: .seconds(1))
        path.loses = 5
        for _ in 0..<600 {
            path.monitor.trafficSeen()
            path.run(for: .seconds(1))
        }
        #expect(path.kinds == [.confirmed])
        #expect(path.monitor.limit == 1452)
    }

    @Test func `a path to a peer without padded checks is confirmed at once, and still watched`() {
        var path = MonitoredPath(ceiling: 1402, usesPadding: false)
        #expect(path.kinds == [.confirmed])
        #expect(path.monitor.limit == 1400)
        path.answersPadded = false
        path.run(for: .seconds(60))
        #expect(path.kinds == [.confirmed])
        #expect(Set(path.probes) == [0])
        path.isDead = true
        path.run(for: .seconds(10))
        #expect(path.kinds == [.confirmed, .lost(.silent)])
        path.isDead = false
        path.run(for: .seconds(6))
        #expect(path.kinds.last == .confirmed)
    }

    @Test func `the MTU of the first hop applies at once`() {
        var path = MonitoredPath()
        path.run(for: .seconds(1))
        path.carries = 1372
        path.monitor.setCeiling(1372, at: path.now)
        #expect(path.monitor.limit == 1372)
        path.run(for: .seconds(6))
        #expect(path.kinds == [.confirmed, .limitChanged])
        path.carries = 1452
        path.monitor.setCeiling(1452, at: path.now)
        path.run(for: .seconds(7))
        #expect(path.monitor.limit == 1452)
    }

    @Test(arguments: [1196, 40, -28])
    func `a first hop that carries less than the base size ends the path until it carries more`(ceiling: Int) {
        var path = MonitoredPath()
        path.run(for: .seconds(1))
        path.carries = ceiling
        path.monitor.setCeiling(ceiling, at: path.now)
        #expect(!path.monitor.isConfirmed)
        path.run(for: .seconds(10))
        // Small probes without padding get through even at a ceiling that no check could have.
        #expect(path.kinds == [.confirmed, .lost(.carriesOnlySmallDatagrams), .carriesTooLittle])
        path.carries = 1452
        path.monitor.setCeiling(1452, at: path.now)
        path.run(for: .seconds(2))
        #expect(path.monitor.isConfirmed && path.monitor.limit == 1452)
    }
}
