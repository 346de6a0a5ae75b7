package import FlowLedger
import NIOCore

/// How fast things have gone, from counts taken now and then: rates for the last minutes, and now. A value without a clock.
struct TrafficHistory {
    /// How often a count is taken.
    static let interval = TimeAmount.seconds(5)
    /// How many rates are kept: five minutes.
    static let capacity = 60

    private struct Sample {
        let traffic: Traffic
        let time: NIODeadline
    }

    /// The last two counts, the newer one first.
    private var samples: [Sample] = []
    /// Bytes a second, the oldest first.
    private(set) var rates: [FlowTraffic] = []

    /// Takes a count. Every ``interval``; a program that was held up takes it later.
    mutating func record(_ traffic: Traffic, at now: NIODeadline) {
        if let last = self.samples.first, now > last.time {
            let rate = Rates(base: last.traffic, age: now - last.time).rate(of: traffic.total)
            self.rates.append(rate ?? FlowTraffic())
            if self.rates.count > Self.capacity { self.rates.removeFirst() }
        }
        self.samples.insert(Sample(traffic: traffic, time: now), at: 0)
        if self.samples.count > 2 { self.samples.removeLast() }
    }

    /// What counts of now are compared with: the newer one, or the one before that if the newer one has only just been taken.
    func now(at now: NIODeadline) -> Rates {
        let base = self.samples.first { now - $0.time >= .seconds(2) } ?? self.samples.last
        guard let base, now - base.time >= .milliseconds(500) else { return Rates() }
        return Rates(base: base.traffic, age: now - base.time)
    }
}

/// Counts of a moment ago, which make rates of those of now.
package struct Rates: Sendable {
    private let base: Traffic?
    private let seconds: Double

    /// Nothing is known of before.
    package init() {
        self.base = nil
        self.seconds = 0
    }

    init(base: Traffic, age: TimeAmount) {
        self.base = base
        self.seconds = Double(age.nanoseconds) / 1_000_000_000
    }

    /// Bytes a second of everything; nil while that is not known.
    package func rate(of total: FlowTraffic) -> FlowTraffic? {
        self.base.flatMap { self.rate(from: $0.total, to: total) }
    }

    /// The same of a part. One that was not there before began from nothing.
    package func rate(of count: FlowTraffic, part id: String) -> FlowTraffic? {
        self.base.flatMap { self.rate(from: $0.parts[id] ?? FlowTraffic(), to: count) }
    }

    private func rate(from old: FlowTraffic, to new: FlowTraffic) -> FlowTraffic? {
        guard self.seconds > 0, new.sent >= old.sent, new.received >= old.received else { return nil }
        return FlowTraffic(
            sent: UInt64(Double(new.sent - old.sent) / self.seconds),
            received: UInt64(Double(new.received - old.received) / self.seconds))
    }
}
