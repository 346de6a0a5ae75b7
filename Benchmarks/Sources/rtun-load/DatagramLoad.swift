import BenchSupport
import CLinuxBench
import Glibc
import Synchronization

/// Sends datagrams at a rate over one or many flows, each a socket of its own, and finds out what has become of them.
final class DatagramLoad: Sendable {
    /// What became of one run.
    struct Outcome {
        var sent: Int
        var received: Int
        /// Datagrams a second that really left.
        var sendingRate: Double
        /// Datagrams a second that really arrived, from the first one's departure to the last one's arrival. Less than
        /// the above where a queue has grown.
        var arrivalRate: Double
        /// One way to a sink, there and back with an echo, in nanoseconds.
        var p50: Int64
        var p99: Int64
        var max: Int64

        var loss: Double { self.sent == 0 ? 1 : Double(Swift.max(0, self.sent - self.received)) / Double(self.sent) }
    }

    private let flows: [Int32]
    private let size: Int
    private let echoes: Bool

    /// Times between two bursts, in nanoseconds.
    private static let tick: Int64 = 100_000

    /// - Parameter echoes: whether the target sends everything back.
    init(to endpoint: Endpoint, flows: Int, size: Int, echoes: Bool) {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        self.flows = (0..<flows).map { _ in
            let descriptor = UDPSocket.open()
            let connected = endpoint.withSocketAddress { connect(descriptor, $0, $1) }
            guard connected == 0 else { fail("cannot send to \(endpoint.host):\(endpoint.port): \(systemError())") }
            return descriptor
        }
        self.size = size
        self.echoes = echoes
    }

    /// Opens each flow before anything is measured, at a rate that a relay admits; ends the program when the target is
    /// silent.
    func open() {
        let run = UInt64.random(in: 1...UInt64.max)
        for attempt in 0..<20 {
            if self.ask(about: run, patience: 250) != nil { break }
            if attempt == 19 { fail("the target does not answer", code: 1) }
        }
        for flow in self.flows.dropFirst() {
            var header = [UInt8](repeating: 0, count: Wire.Datagram.headerSize)
            header.withUnsafeMutableBytes {
                DatagramHeader(kind: Wire.Datagram.question, run: run).write(to: $0.baseAddress!)
                _ = Glibc.send(flow, $0.baseAddress!, $0.count, 0)
            }
            sleep(until: monotonicNow() + 400_000)
        }
        sleep(until: monotonicNow() + 300_000_000)
        self.drain()
    }

    /// One run. - Parameter rate: datagrams a second; nil for as many as can be.
    func run(rate: Double?, seconds: Double) -> Outcome {
        let run = UInt64.random(in: 1...UInt64.max)
        let collector = self.echoes ? Collector(self.flows, run: run) : nil
        let begin = monotonicNow()
        let (sent, took) = self.send(run: run, rate: rate, seconds: seconds)
        let sendingRate = Double(sent) / took
        func arrivalRate(_ count: Int, last: Int64) -> Double { Double(count) * 1e9 / Double(max(1, last - begin)) }
        if let collector {
            let (times, last) = collector.finish(expecting: sent)
            return Outcome(
                sent: sent, received: times.count, sendingRate: sendingRate,
                arrivalRate: arrivalRate(times.count, last: last), p50: times.at(0.5) ?? 0,
                p99: times.at(0.99) ?? 0, max: times.at(1) ?? 0)
        }
        // What is still on the way arrives; the count stands still then.
        var last = Int64(-1)
        for _ in 0..<40 {
            sleep(until: monotonicNow() + 50_000_000)
            guard let result = self.ask(about: run, patience: 500) else { continue }
            if result[0] == last || result[0] >= sent {
                return Outcome(
                    sent: sent, received: Int(result[0]), sendingRate: sendingRate,
                    arrivalRate: arrivalRate(Int(result[0]), last: result[4]), p50: result[1], p99: result[2],
                    max: result[3])
            }
            last = result[0]
        }
        return Outcome(sent: sent, received: 0, sendingRate: sendingRate, arrivalRate: 0, p50: 0, p99: 0, max: 0)
    }

    /// Sends in bursts of a tick's worth, spread over the flows in turns; returns how many left and in what time.
    private func send(run: UInt64, rate: Double?, seconds: Double) -> (sent: Int, seconds: Double) {
        wakePrecisely()
        let batch = Batch(64, addressed: false)
        for index in 0..<batch.count { batch.setLength(index, self.size) }
        var header = DatagramHeader(kind: Wire.Datagram.data, run: run)
        let begin = monotonicNow()
        let end = begin + Int64(seconds * 1e9)
        var (taken, sent, flow) = (0, 0, 0)
        var now = begin
        while now < end {
            let due = rate.map { Int(Double(now - begin) / 1e9 * $0) + 1 } ?? Int.max
            while taken < due, now < end {
                // With many flows each datagram is one of another flow.
                let count = self.flows.count == 1 ? min(batch.count, due - taken) : 1
                now = monotonicNow()
                for index in 0..<count {
                    header.sequence = UInt64(taken + index)
                    header.time = now
                    header.write(to: batch.payload(index))
                }
                sent += max(0, batch.send(self.flows[flow], count))
                taken += count
                flow = (flow + 1) % self.flows.count
            }
            if rate != nil {
                sleep(until: now + Self.tick)
                now = monotonicNow()
            }
        }
        return (sent, Double(monotonicNow() - begin) / 1e9)
    }

    /// Asks the sink, over the first flow, what has come of a run: count, median, 99th percentile, maximum,
    /// and when the last one came.
    private func ask(about run: UInt64, patience milliseconds: Int32) -> [Int64]? {
        var bytes = [UInt8](repeating: 0, count: Wire.Datagram.largest)
        return bytes.withUnsafeMutableBytes { buffer in
            DatagramHeader(kind: Wire.Datagram.question, run: run).write(to: buffer.baseAddress!)
            guard Glibc.send(self.flows[0], buffer.baseAddress!, Wire.Datagram.headerSize, 0) > 0 else { return nil }
            let deadline = monotonicNow() + Int64(milliseconds) * 1_000_000
            while case let left = deadline - monotonicNow(), left > 0 {
                var descriptor = pollfd(fd: self.flows[0], events: Int16(POLLIN), revents: 0)
                guard CLinuxBench_poll(&descriptor, 1, left) > 0 else { return nil }
                let length = recv(self.flows[0], buffer.baseAddress!, buffer.count, 0)
                guard length >= Wire.Datagram.resultSize,
                    let header = DatagramHeader(buffer.baseAddress!, length), header.kind == Wire.Datagram.result,
                    header.run == run
                else { continue }
                return (0..<5).map { buffer.load(fromByteOffset: 16 + 8 * $0, as: Int64.self) }
            }
            return nil
        }
    }

    /// Throws away what is left of earlier runs.
    private func drain() {
        var byte: UInt8 = 0
        for flow in self.flows { while recv(flow, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 {} }
    }
}

/// Receives what an echo sends back, in a thread of its own.
private final class Collector: Sendable {
    private let results = Mutex<(times: [Int64], last: Int64)>(([], 0))
    private let count = Atomic<Int>(0)
    private let stopping = Flag()
    private let thread = Mutex<Thread?>(nil)

    init(_ flows: [Int32], run: UInt64) {
        let epoll = epoll_create1(0)
        for flow in flows { _ = CLinuxBench_epoll_add(epoll, flow) }
        self.thread.withLock { [self] in $0 = Thread { self.collect(epoll, run: run) } }
    }

    private func collect(_ epoll: Int32, run: UInt64) {
        defer { close(epoll) }
        let batch = Batch(64, addressed: false)
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        var times: [Int64] = []
        var last: Int64 = 0
        while !self.stopping.isSet {
            let ready = epoll_wait(epoll, &events, 64, 50)
            for index in 0..<Int(max(0, ready)) {
                let descriptor = CLinuxBench_epoll_descriptor(&events[index])
                let received = batch.receive(descriptor, flags: Int32(MSG_DONTWAIT))
                let now = monotonicNow()
                for message in 0..<max(0, received) {
                    guard let header = DatagramHeader(batch.payload(message), Int(batch.messages[message].length)),
                        header.kind == Wire.Datagram.data, header.run == run
                    else { continue }
                    times.append(now - header.time)
                    last = now
                }
            }
            self.count.store(times.count, ordering: .releasing)
        }
        self.results.withLock { [times, last] in $0 = (times, last) }
    }

    /// Waits until all are back, or none has come for 300 ms.
    func finish(expecting sent: Int) -> (times: Percentiles, last: Int64) {
        var last = (count: -1, since: monotonicNow())
        while case let count = self.count.load(ordering: .acquiring), count < sent {
            let now = monotonicNow()
            if count != last.count { last = (count, now) }
            if now - last.since > 300_000_000 { break }
            sleep(until: now + 5_000_000)
        }
        self.stopping.set()
        self.thread.withLock { $0?.join() }
        return self.results.withLock { (Percentiles($0.times), $0.last) }
    }
}

/// Looks for the highest rate at which less than a thousandth of the datagrams gets lost, and they arrive as fast as they
/// leave: what only a large buffer takes for a while does not count.
struct RateSearch {
    let load: DatagramLoad
    /// Seconds for each attempt.
    let step: Double
    let limit: Double

    private static let tolerance = 0.001

    private static func isGood(_ outcome: DatagramLoad.Outcome) -> Bool {
        outcome.loss < Self.tolerance && outcome.arrivalRate > 0.93 * outcome.sendingRate
    }

    func run() -> JSON {
        var good: (rate: Double, outcome: DatagramLoad.Outcome)?
        var bad: Double?
        var attempts: [JSON] = []
        var rate = 5_000.0
        var senderBound = false
        // Doubles until something is lost, then halves the gap until it is 4 %.
        var isSecond = false
        while attempts.count < 32 {
            let outcome = self.load.run(rate: rate, seconds: self.step)
            attempts.append(
                .object([
                    "rate": .number(rate), "sent_per_second": .number(outcome.sendingRate),
                    "arrived_per_second": .number(outcome.arrivalRate),
                    "loss_percent": .number(outcome.loss * 100),
                ]))
            // A machine has hiccups: what fails has a second attempt.
            if !Self.isGood(outcome), !isSecond {
                isSecond = true
                continue
            }
            isSecond = false
            // What the sender itself cannot do says nothing of what is between.
            senderBound = outcome.sendingRate < 0.95 * rate
            if Self.isGood(outcome) {
                if outcome.arrivalRate > good?.rate ?? 0 { good = (outcome.arrivalRate, outcome) }
                if senderBound || rate >= self.limit { break }
            } else {
                bad = min(rate, max(outcome.sendingRate, good?.rate ?? 0))
            }
            if let bad {
                let lower = good?.rate ?? 0
                if bad - lower < max(0.04 * bad, 100) { break }
                rate = (lower + bad) / 2
            } else {
                rate = min(self.limit, rate * 2)
            }
        }
        return .object([
            "lossless_per_second": .number(good?.rate ?? 0), "bound_by_sender": .string(senderBound ? "yes" : "no"),
            "p50_us": .number(Double(good?.outcome.p50 ?? 0) / 1e3),
            "p99_us": .number(Double(good?.outcome.p99 ?? 0) / 1e3), "attempts": .array(attempts),
        ])
    }
}
