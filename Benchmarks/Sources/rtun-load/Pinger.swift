import BenchSupport
import Glibc
import Synchronization

/// A value that one thread sets and others look at.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    func set() { self.value.store(true, ordering: .releasing) }
    var isSet: Bool { self.value.load(ordering: .acquiring) }
}

/// Sends small messages over an echo connection at fixed times, whether the answers are there or not, and measures how
/// long each takes there and back.
final class Pinger: Sendable {
    private let socket: Socket
    private let interval: Int64
    private let stopping = Flag()
    private let sent = Atomic<Int>(0)
    private let times = Mutex<[Int64]>([])

    /// - Parameter interval: milliseconds.
    init(_ socket: Socket, interval: Double) {
        self.socket = socket
        self.interval = Int64(interval * 1e6)
    }

    /// Starts; pings that leave before that time are not counted.
    func start(recordingFrom first: Int64) {
        Thread {
            wakePrecisely()
            var message = [Int64](repeating: 0, count: Wire.pingSize / 8)
            var next = monotonicNow()
            while !self.stopping.isSet {
                sleep(until: next)
                let now = monotonicNow()
                message[0] = now
                guard message.withUnsafeBytes({ self.socket.sendAll($0) }) else { return }
                if now >= first { self.sent.add(1, ordering: .relaxed) }
                // What could not leave in time is not made up for.
                next = max(next + self.interval, now)
            }
        }.detach()
        Thread {
            var message = [Int64](repeating: 0, count: Wire.pingSize / 8)
            while message.withUnsafeMutableBytes({ self.socket.receiveAll($0) }) {
                let now = monotonicNow()
                guard message[0] >= first else { continue }
                let took = now - message[0]
                self.times.withLock { $0.append(took) }
            }
        }.detach()
    }

    /// Stops, waits up to 3 s for answers that are still on the way, and reports.
    func finish() -> JSON {
        self.stopping.set()
        let patience = monotonicNow() + 3_000_000_000
        while self.times.withLock({ $0.count }) < self.sent.load(ordering: .relaxed), monotonicNow() < patience {
            sleep(until: monotonicNow() + 5_000_000)
        }
        self.socket.shutDown()
        let times = self.times.withLock { Percentiles($0) }
        return .object([
            "sent": .integer(self.sent.load(ordering: .relaxed)), "answered": .integer(times.count),
            "p50_ms": times.json(0.5, unit: 1e6), "p90_ms": times.json(0.9, unit: 1e6),
            "p99_ms": times.json(0.99, unit: 1e6), "max_ms": times.json(1, unit: 1e6),
        ])
    }
}
