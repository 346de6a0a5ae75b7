import Foundation
import NIOCore
import Testing

@testable import QUIC

/// What a tunnel carries over links that lose packets, are far, or have much room for packets to wait in; how long something
/// small takes beside it; and what it leaves to others.
///
/// With `RTUN_BENCHMARK=1` a table of all links with both algorithms is printed. Time is virtual.
@Suite struct CongestionTests {
    struct Profile: CustomStringConvertible, Sendable {
        var name: String
        var link: Bottleneck.Link
        /// Bounds with BBR: goodput as a part of the link's rate, and the median of a small question's time as a part of the
        /// round trip.
        var goodput: Double
        var ping: Double
        var description: String { self.name }
    }

    static let profiles = [
        Profile(
            name: "100 Mbit/s, 40 ms, 0.1 % loss",
            link: .init(megabits: 100, roundTrip: .milliseconds(40), loss: 0.001),
            goodput: 0.88, ping: 1.1),
        Profile(
            name: "100 Mbit/s, 100 ms, 1 % loss", link: .init(megabits: 100, roundTrip: .milliseconds(100), loss: 0.01),
            goodput: 0.85, ping: 1.1),
        Profile(
            name: "50 Mbit/s, 150 ms, 3 % loss", link: .init(megabits: 50, roundTrip: .milliseconds(150), loss: 0.03),
            goodput: 0.72, ping: 1.1),
        Profile(
            name: "100 Mbit/s, 100 ms, 10 % loss", link: .init(megabits: 100, roundTrip: .milliseconds(100), loss: 0.1),
            goodput: 0.08, ping: 1.3),
        Profile(
            name: "100 Mbit/s, 40 ms", link: .init(megabits: 100, roundTrip: .milliseconds(40)), goodput: 0.88,
            ping: 1.1),
        Profile(
            name: "400 Mbit/s, 80 ms", link: .init(megabits: 400, roundTrip: .milliseconds(80)), goodput: 0.88,
            ping: 1.1),
        Profile(
            name: "20 Mbit/s, 20 ms, room for 2 MB",
            link: .init(megabits: 20, roundTrip: .milliseconds(20), queue: 2_000_000), goodput: 0.84, ping: 1.5),
        Profile(
            name: "100 Mbit/s, 40 ms, room for 64 KiB",
            link: .init(megabits: 100, roundTrip: .milliseconds(40), queue: 64 << 10), goodput: 0.7, ping: 1.1),
    ]

    struct Result {
        /// Mbit/s.
        var goodput: Double
        var ping: (median: TimeAmount, percentile99: TimeAmount)
        /// Goodput of each second, the first ones included, in Mbit/s.
        var seconds: [Int]
    }

    /// The bytes that streams of a tunnel bring to its server.
    private final class Load {
        private let tunnel: Bottleneck.Tunnel
        private var meters: [Meter] = []
        var received: Int { self.meters.reduce(0) { $0 + $1.received } }

        /// With `answers`, the first stream is for questions.
        init(_ tunnel: Bottleneck.Tunnel, answers: Bool = false) {
            self.tunnel = tunnel
            tunnel.serverEvents.onStream = { [unowned self] stream in
                guard stream.id != 0 || !answers else { return Echo() }
                self.meters.append(Meter())
                return self.meters.last
            }
        }

        func add() throws {
            let stream = try self.tunnel.client.openStream()
            let pump = Pump(total: 1 << 40, pieceSize: 64 << 10)
            stream.delegate = pump
            pump.start(stream)
        }
    }

    private static func measure(
        _ link: Bottleneck.Link, streams: Int = 1, seconds: Int = 12, skipping: Int = 2,
        _ algorithm: CongestionControl = .bbr
    ) throws -> Result {
        let bottleneck = Bottleneck(link)
        let tunnel = try bottleneck.connect(client: algorithm, server: algorithm)
        let load = Load(tunnel, answers: true)
        let pinger = try Pinger(tunnel.client, on: bottleneck.loop)
        bottleneck.run(for: .milliseconds(500))
        for _ in 0..<streams { try load.add() }
        var perSecond: [Int] = []
        for second in 0..<seconds {
            if second == skipping { pinger.reset() }
            let before = load.received
            bottleneck.run(for: .seconds(1))
            perSecond.append((load.received - before) * 8 / 1_000_000)
        }
        #expect(tunnel.clientEvents.closeReason == nil && tunnel.serverEvents.closeReason == nil)
        return Result(
            goodput: Double(perSecond.dropFirst(skipping).reduce(0, +)) / Double(seconds - skipping),
            ping: (pinger.percentile(0.5), pinger.percentile(0.99)), seconds: perSecond)
    }

    @Test(arguments: Self.profiles) func `a tunnel fills the link, and a ping beside it does not wait`(profile: Profile)
        throws
    {
        let result = try Self.measure(profile.link)
        #expect(result.goodput * 1e6 >= profile.goodput * profile.link.rate, "\(result)")
        let roundTrip = profile.link.delay * 2
        #expect(
            Double(result.ping.median.nanoseconds) <= profile.ping * Double(roundTrip.nanoseconds), "\(result)")
    }

    @Test func `eight streams share a lossy tunnel and carry as much as one`() throws {
        let link = Bottleneck.Link(megabits: 100, roundTrip: .milliseconds(100), loss: 0.01)
        let result = try Self.measure(link, streams: 8)
        #expect(result.goodput >= 85, "\(result)")
    }

    @Test func `after a pause a tunnel goes on as fast as before`() throws {
        let bottleneck = Bottleneck(.init(megabits: 100, roundTrip: .milliseconds(40)))
        let tunnel = try bottleneck.connect()
        let meters = [Meter(), Meter()]
        tunnel.serverEvents.onStream = { meters[$0.id == 0 ? 0 : 1] }
        for (index, pause) in [5, 0].enumerated() {
            let stream = try tunnel.client.openStream()
            let pump = Pump(total: 25_000_000, pieceSize: 64 << 10)
            stream.delegate = pump
            pump.start(stream)
            let start = bottleneck.loop.now
            while meters[index].received < pump.total, bottleneck.loop.now - start < .seconds(20) {
                bottleneck.run(for: .milliseconds(10))
            }
            // Two seconds at the link's rate.
            #expect(bottleneck.loop.now - start < .seconds(3))
            bottleneck.run(for: .seconds(Int64(pause)))
        }
    }

    @Test func `after a move to a slower or faster path a tunnel finds out what that carries`() throws {
        let slow = Bottleneck.Link(megabits: 10, roundTrip: .milliseconds(150))
        let fast = Bottleneck.Link(megabits: 200, roundTrip: .milliseconds(20))
        let bottleneck = Bottleneck(slow)
        let tunnel = try bottleneck.connect()
        let load = Load(tunnel)
        try load.add()
        bottleneck.run(for: .seconds(4))
        for link in [fast, slow] {
            bottleneck.link = link
            tunnel.client.pathChanged()
            tunnel.server.pathChanged()
            bottleneck.run(for: .seconds(3))
            let before = load.received
            bottleneck.run(for: .seconds(5))
            #expect(Double(load.received - before) * 8 / 5 > 0.8 * link.rate)
        }
    }

    /// How they share it is a matter of luck, which ngtcp2's random numbers decide, and stays as it is for minutes: in one of
    /// twenty runs one of them gets less than a quarter. So three are looked at.
    @Test func `two tunnels share a link`() throws {
        let smaller = try (0..<3).map { _ in
            let shares = try Self.sharesOfTwo()
            #expect(shares.reduce(0, +) > 42, "\(shares)")
            return shares.min()!
        }
        #expect(smaller.min()! > 5, "\(smaller)")
        #expect(smaller.reduce(0, +) / 3 > 12, "\(smaller)")
    }

    /// What two tunnels get of 50 Mbit/s, in Mbit/s.
    private static func sharesOfTwo() throws -> [Double] {
        let bottleneck = Bottleneck(.init(megabits: 50, roundTrip: .milliseconds(40)))
        let loads = try (0..<2).map { _ in
            let load = Load(try bottleneck.connect())
            try load.add()
            // The second comes when the first has the link for itself.
            bottleneck.run(for: .seconds(5))
            return load
        }
        bottleneck.run(for: .seconds(10))
        let before = loads.map(\.received)
        bottleneck.run(for: .seconds(20))
        return zip(loads, before).map { Double($0.received - $1) * 8 / 20e6 }
    }

    /// Queues of one and of two bandwidth-delay products, and a shallow one. The tunnel with CUBIC stands for a TCP.
    @Test(arguments: [1.0, 2.0, 0.25])
    func `a tunnel does not starve a plain CUBIC beside it`(products: Double) throws {
        let product = 50e6 / 8 * 0.04
        let bottleneck = Bottleneck(
            .init(megabits: 50, roundTrip: .milliseconds(40), queue: Int(product * products)))
        let tunnels = [try bottleneck.connect(), try bottleneck.connect(client: .cubic, server: .cubic)]
        let loads = tunnels.map { Load($0) }
        for load in loads { try load.add() }
        bottleneck.run(for: .seconds(10))
        let before = loads.map(\.received)
        bottleneck.run(for: .seconds(30))
        let shares = zip(loads, before).map { Double($0.received - $1) * 8 / 30e6 }
        if Self.isBenchmark { print("bbr", shares[0], "cubic", shares[1], "queue", products) }
        #expect(shares.reduce(0, +) > 40, "\(shares)")
        #expect(shares[1] > 50 * 0.1, "BBR and CUBIC: \(shares)")
    }

    private static let isBenchmark = ProcessInfo.processInfo.environment["RTUN_BENCHMARK"] != nil

    @Test(.enabled(if: Self.isBenchmark), arguments: CongestionControl.allCases)
    func `a table of all links is printed`(algorithm: CongestionControl) throws {
        for profile in Self.profiles {
            let result = try Self.measure(profile.link, algorithm)
            let ping = [result.ping.median, result.ping.percentile99].map { $0.nanoseconds / 1_000_000 }
            print("\(algorithm): \(profile): \(result.goodput) Mbit/s, ping \(ping) ms, \(result.seconds)")
        }
    }
}
