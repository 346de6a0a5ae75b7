import BenchSupport

/// One direction of a link: a drop-tail queue in front of a transmitter of a fixed rate, and a wire with a delay that
/// loses packets at random, each by itself (Bernoulli). A value without sockets and clock: packets and times go in.
struct Direction: ~Copyable {
    struct Properties {
        /// In bits per second, headers of IP included.
        var rate: Double
        /// One way, in nanoseconds.
        var delay: Int64
        /// Bytes that wait at most, the packet that is being sent included.
        var queue: Int
        /// The share of packets that get lost, from 0 to 1.
        var loss: Double
    }

    struct Counters {
        var packets = 0
        var bytes = 0
        var delivered = 0
        var deliveredBytes = 0
        var droppedByQueue = 0
        var lost = 0
        /// What the device at the far end did not take.
        var refused = 0
        /// Longest time that a packet waited for those before it, in nanoseconds.
        var largestQueueingDelay: Int64 = 0
        /// How much later than they should have been packets were handed over, in nanoseconds. Where this grows, the
        /// emulator had no time, and what was measured is not what was asked for.
        var lateness: Int64 = 0
        var largestLateness: Int64 = 0
    }

    private let properties: Properties
    private let nanosecondsPerByte: Double
    private var generator: SplitMix64
    private var ring: PacketRing
    /// When the transmitter has sent everything that it has, in nanoseconds. A fraction of one, so that rates are exact.
    private var free: Double = 0
    var counters = Counters()

    init(_ properties: Properties, seed: UInt64) {
        self.properties = properties
        self.nanosecondsPerByte = 8e9 / properties.rate
        self.generator = SplitMix64(seed: seed)
        // What the queue and the wire hold, twice: a header of the ring's own nearly doubles the smallest packets.
        let onWire = Int(properties.rate / 8 * Double(properties.delay) / 1e9)
        self.ring = PacketRing(capacity: 2 * (properties.queue + onWire) + 1 << 18)
    }

    /// When the next packet reaches the far end; nil when none is on its way.
    var nextTime: Int64? { self.ring.nextTime }

    /// A packet comes to the near end.
    mutating func receive(_ packet: UnsafeRawBufferPointer, at now: Int64) {
        self.counters.packets += 1
        self.counters.bytes += packet.count
        let start = max(Double(now), self.free)
        let waiting = start - Double(now)
        guard Int(waiting / self.nanosecondsPerByte) + packet.count <= self.properties.queue else {
            self.counters.droppedByQueue += 1
            return
        }
        self.counters.largestQueueingDelay = max(self.counters.largestQueueingDelay, Int64(waiting))
        self.free = start + Double(packet.count) * self.nanosecondsPerByte
        // It gets lost on the wire: its time with the transmitter is spent all the same.
        if self.properties.loss > 0, Double.random(in: 0..<1, using: &self.generator) < self.properties.loss {
            self.counters.lost += 1
            return
        }
        if !self.ring.append(packet, arrivingAt: Int64(self.free) + self.properties.delay) {
            self.counters.droppedByQueue += 1
        }
    }

    /// Hands over the packets that have reached the far end; `deliver` says whether they were taken.
    mutating func deliverDue(at now: Int64, _ deliver: (UnsafeRawBufferPointer) -> Bool) {
        while let time = self.ring.nextTime, time <= now {
            var length = 0
            var taken = false
            self.ring.removeFirst { packet in
                length = packet.count
                taken = deliver(packet)
            }
            self.counters.lateness += now - time
            self.counters.largestLateness = max(self.counters.largestLateness, now - time)
            if taken {
                self.counters.delivered += 1
                self.counters.deliveredBytes += length
            } else {
                self.counters.refused += 1
            }
        }
    }
}

extension Direction.Counters {
    var json: JSON {
        .object([
            "packets": .integer(self.packets), "bytes": .integer(self.bytes), "delivered": .integer(self.delivered),
            "delivered_bytes": .integer(self.deliveredBytes), "dropped_by_queue": .integer(self.droppedByQueue),
            "lost": .integer(self.lost), "refused": .integer(self.refused),
            "largest_queueing_delay_ms": .number(Double(self.largestQueueingDelay) / 1e6),
            "mean_lateness_ms": .number(Double(self.lateness) / 1e6 / Double(max(1, self.delivered + self.refused))),
            "largest_lateness_ms": .number(Double(self.largestLateness) / 1e6),
        ])
    }
}

/// A small generator that a seed fixes (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
