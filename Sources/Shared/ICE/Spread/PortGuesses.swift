/// Destination ports to try on a NAT that gives each destination another one: likely ones first, then random ones, each
/// once and none of those that are known.
///
/// Many NATs count: the next mapping gets the next port, or the one after that. When the ports that are known show such a
/// stride, the sequence goes on from there; further guesses are around the last port, and the port of the socket itself,
/// which some NATs keep where they can. On a NAT that draws its ports at random all of these are as good as any other.
package struct PortGuesses<Generator: RandomNumberGenerator>: Sequence, IteratorProtocol {
    private var predicted: ArraySlice<UInt16>
    private var generator: Generator
    private var pool = PortPool()
    private var remaining: Int

    /// - Parameters:
    ///   - mapped: what is known of the NAT; nil for random ports only.
    ///   - count: how many ports to try at most, 0…64 512.
    package init(_ mapped: MappedPorts?, count: Int, generator: Generator) {
        self.generator = generator
        self.remaining = Swift.max(0, count)
        // Ordinary connectivity checks go to these.
        for port in mapped?.ports ?? [] { self.pool.take(port) }
        self.predicted = mapped.map { PortPrediction($0).ports[...] } ?? []
    }

    package mutating func next() -> UInt16? {
        guard self.remaining > 0 else { return nil }
        self.remaining -= 1
        while let port = self.predicted.popFirst() {
            if self.pool.take(port) { return port }
        }
        return self.pool.takeRandom(using: &self.generator)
    }
}

extension PortGuesses: Sendable where Generator: Sendable {}

/// The ports that a NAT is likely to use next.
private struct PortPrediction {
    /// Differences beyond this are taken for chance.
    private static let longestStride = 32
    /// How far a sequence is followed. The peer's own sockets take the ports that come next.
    private static let followed = 32
    /// How far around the last port, in ones.
    private static let around = 8
    /// How far back, and around the socket's own port.
    private static let few = 4

    /// The likeliest first; some of them more than once.
    private(set) var ports: [UInt16] = []

    init(_ mapped: MappedPorts) {
        guard let first = mapped.ports.first, let last = mapped.ports.last else { return }
        let stride = Self.stride(of: mapped.ports)
        if let stride {
            for step in 1...Self.followed { self.add(last, stride * step) }
        }
        if let base = mapped.basePort { self.add(base, 0) }
        for distance in 1...Self.around {
            self.add(last, distance)
            self.add(last, -distance)
        }
        for step in 1...Self.few {
            // Before the first, should the answers have come in another order.
            self.add(first, -(stride ?? 1) * step)
            if let base = mapped.basePort {
                self.add(base, step)
                self.add(base, -step)
            }
        }
    }

    /// By how much the ports grow or shrink: the largest step that explains all differences that are not left to chance,
    /// in the direction of most of them; nil when there are none.
    private static func stride(of ports: [UInt16]) -> Int? {
        let differences = zip(ports, ports.dropFirst()).map { Int($1) - Int($0) }
            .filter { $0 != 0 && abs($0) <= Self.longestStride }
        guard !differences.isEmpty else { return nil }
        let step = differences.reduce(0) { Self.greatestCommonDivisor($0, abs($1)) }
        let direction = differences.count { $0 > 0 } * 2 >= differences.count ? 1 : -1
        return step * direction
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
        b == 0 ? a : Self.greatestCommonDivisor(b, a % b)
    }

    /// A NAT that reaches the end of its ports begins again at the other end.
    private mutating func add(_ port: UInt16, _ offset: Int) {
        let ports = PortPool.ports
        var index = (Int(port) - Int(ports.lowerBound) + offset) % ports.count
        if index < 0 { index += ports.count }
        self.ports.append(UInt16(clamping: Int(ports.lowerBound) + index))
    }
}

/// The ports that have not been taken yet, of 1024…65535.
private struct PortPool {
    static let ports: ClosedRange<UInt16> = 1024...65535

    /// A bit for each port: taken.
    private var taken = [UInt64](repeating: 0, count: PortPool.ports.count / 64)
    private var free = PortPool.ports.count

    /// Returns whether it was free.
    @discardableResult
    mutating func take(_ port: UInt16) -> Bool {
        guard Self.ports.contains(port) else { return false }
        let index = Int(port - Self.ports.lowerBound)
        let bit = UInt64(1) << UInt64(index % 64)
        guard self.taken[index / 64] & bit == 0 else { return false }
        self.taken[index / 64] |= bit
        self.free -= 1
        return true
    }

    /// One of the free ports, each as likely as the others; nil when there are none.
    mutating func takeRandom(using generator: inout some RandomNumberGenerator) -> UInt16? {
        guard self.free > 0 else { return nil }
        var rank = Int.random(in: 0..<self.free, using: &generator)
        for (index, word) in self.taken.enumerated() {
            var free = ~word
            guard rank >= free.nonzeroBitCount else {
                for _ in 0..<rank { free &= free - 1 }
                let port = Self.ports.lowerBound + UInt16(clamping: index * 64 + free.trailingZeroBitCount)
                self.take(port)
                return port
            }
            rank -= free.nonzeroBitCount
        }
        return nil
    }
}
