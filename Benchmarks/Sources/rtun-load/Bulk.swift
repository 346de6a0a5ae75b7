import BenchSupport
import Glibc
import Synchronization

/// Streams that carry as much as they can in one direction, counted where the bytes arrive.
struct Bulk {
    enum Direction: String {
        case up
        case down
    }

    let way: Way
    let direction: Direction
    let streams: Int
    let seconds: Double
    let warmup: Double
    /// Seconds between two values of the series.
    let interval: Double
    /// Milliseconds between pings on a connection of their own; nil for none.
    let ping: Double?

    private final class Stream: Sendable {
        /// Bytes that have arrived.
        let arrived = Atomic<Int>(0)
        let ended = Atomic<Bool>(false)
    }

    func run() -> JSON {
        let streams = (0..<self.streams).map { _ in Stream() }
        let sockets = streams.map { _ in self.connect(Wire.download, Wire.upload) }
        let zeros = Zeros(Wire.bufferSize)
        let pinger = self.ping.map { Pinger(self.connect(Wire.echo, Wire.echo), interval: $0) }
        let begin = monotonicNow()
        for (stream, socket) in zip(streams, sockets) {
            switch self.direction {
            case .down:
                Thread {
                    while case let count = socket.discard(Wire.bufferSize), count > 0 {
                        stream.arrived.add(count, ordering: .relaxed)
                    }
                    stream.ended.store(true, ordering: .relaxed)
                }.detach()
            case .up:
                Thread { while socket.sendAll(zeros.bytes) {} }.detach()
                Thread {
                    var report: (time: Int64, total: Int64) = (0, 0)
                    while withUnsafeMutableBytes(of: &report, { socket.receiveAll($0) }) {
                        stream.arrived.store(Int(report.total), ordering: .relaxed)
                    }
                    stream.ended.store(true, ordering: .relaxed)
                }.detach()
            }
        }

        // One row of counts for each point in time: the warm-up's end, and then each interval.
        var times: [Int64] = []
        var rows: [[Int]] = []
        let first = begin + Int64(self.warmup * 1e9)
        let steps = max(1, Int((self.seconds / self.interval).rounded()))
        pinger?.start(recordingFrom: first)
        for step in 0...steps {
            sleep(until: first + Int64(Double(step) * self.interval * 1e9))
            times.append(monotonicNow())
            rows.append(streams.map { $0.arrived.load(ordering: .relaxed) })
        }
        let broken = streams.count { $0.ended.load(ordering: .relaxed) }
        let pings = pinger?.finish()
        for socket in sockets { socket.shutDown() }

        func rate(_ bytes: Int, from: Int, to: Int) -> JSON {
            .number(Double(bytes) * 8 / 1e6 / (Double(times[to] - times[from]) / 1e9))
        }
        let each = streams.indices.map { rows[steps][$0] - rows[0][$0] }
        let totals = rows.map { $0.reduce(0, +) }
        if totals[steps] == totals[0] { fail("nothing arrived in \(self.seconds) s", code: 1) }
        return .object([
            "direction": .string(self.direction.rawValue), "streams": .integer(self.streams),
            "seconds": .number(Double(times[steps] - times[0]) / 1e9), "bytes": .integer(totals[steps] - totals[0]),
            "mbit_s": rate(totals[steps] - totals[0], from: 0, to: steps),
            "stream_min_mbit_s": rate(each.min()!, from: 0, to: steps),
            "stream_max_mbit_s": rate(each.max()!, from: 0, to: steps),
            "broken_streams": .integer(broken),
            "interval": .number(self.interval),
            "series_mbit_s": .array((0..<steps).map { rate(totals[$0 + 1] - totals[$0], from: $0, to: $0 + 1) }),
            "ping": pings ?? .null,
        ])
    }

    private func connect(_ down: UInt8, _ up: UInt8) -> Socket {
        do {
            return try self.way.connect(for: self.direction == .down ? down : up)
        } catch {
            fail("\(error)", code: 1)
        }
    }
}
