import BenchSupport
import Glibc
import Synchronization

/// Clients that each make a connection, send a request, wait for the response, close, and begin anew.
struct Requests {
    let way: Way
    let concurrency: Int
    let seconds: Double
    let warmup: Double

    private struct Results {
        var times: [Int64] = []
        var failures = 0
        var error: String?
    }

    private final class Shared: Sendable {
        let results = Mutex(Results())
    }

    func run() -> JSON {
        let shared = Shared()
        let first = monotonicNow() + Int64(self.warmup * 1e9)
        let end = first + Int64(self.seconds * 1e9)
        let threads = (0..<self.concurrency).map { _ in
            Thread { [way] in
                let own = Self.ask(way, recordingFrom: first, until: end)
                shared.results.withLock {
                    $0.times += own.times
                    $0.failures += own.failures
                    $0.error = $0.error ?? own.error
                }
            }
        }
        for thread in threads { thread.join() }
        let all = shared.results.withLock { $0 }
        let times = Percentiles(all.times)
        if times.count == 0 { fail("no request was answered: \(all.error ?? "it took too long")", code: 1) }
        return .object([
            "concurrency": .integer(self.concurrency), "seconds": .number(self.seconds),
            "answered": .integer(times.count),
            "failures": .integer(all.failures), "error": all.error.map { .string($0) } ?? .null,
            "per_second": .number(Double(times.count) / self.seconds),
            "p50_ms": times.json(0.5, unit: 1e6), "p99_ms": times.json(0.99, unit: 1e6),
            "max_ms": times.json(1, unit: 1e6),
        ])
    }

    /// One client. What ends outside of the time is not counted, wherever it began.
    private static func ask(_ way: Way, recordingFrom first: Int64, until end: Int64) -> Results {
        var results = Results()
        while case let start = monotonicNow(), start < end {
            do {
                try Self.request(way)
                let now = monotonicNow()
                if now >= first, now < end { results.times.append(now - start) }
            } catch {
                results.failures += 1
                results.error = error.description
                sleep(until: monotonicNow() + 1_000_000)
            }
        }
        return results
    }

    private static func request(_ way: Way) throws(SocketError) {
        let socket = try way.connect(for: Wire.requests)
        defer { socket.close() }
        let request = [UInt8](repeating: 0, count: Wire.requestSize)
        guard socket.sendAll(request), socket.receiveAll(Wire.responseSize) != nil else {
            throw SocketError("the connection has ended before the response")
        }
    }
}
