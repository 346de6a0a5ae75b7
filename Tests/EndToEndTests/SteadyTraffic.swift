import Foundation
import Synchronization
import TestSupport
import Testing

/// A local sender of numbered datagrams, one every 5 ms, which notes what is answered.
final class SteadyTraffic: Sendable {
    private struct State {
        var sent = 0
        var answered: Set<Int> = []
        var isStopping = false
    }

    private static let interval = Duration.milliseconds(5)
    /// Whatever is not answered by then is lost.
    private static let patience = Duration.seconds(10)
    private let state = Mutex(State())

    init(to port: Int) throws {
        let socket = try DatagramSocket(connectedTo: port)
        Self.thread { [self] in
            let clock = ContinuousClock()
            var next = clock.now
            while let number = self.nextNumber() {
                try? socket.send(withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) })
                next += Self.interval
                Thread.sleep(forTimeInterval: max(0, (next - clock.now) / .seconds(1)))
            }
        }
        Self.thread { [self] in
            while !self.state.withLock({ $0.isStopping }) {
                guard let answer = try? socket.receive(within: .milliseconds(100)), answer.count == 4 else { continue }
                let number = answer.reduce(0) { $0 << 8 | Int($1) }
                self.state.withLock { _ = $0.answered.insert(number) }
            }
        }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.stackSize = 1 << 19
        thread.start()
    }

    private func nextNumber() -> Int? {
        self.state.withLock { state in
            guard !state.isStopping else { return nil }
            state.sent += 1
            return state.sent - 1
        }
    }

    /// Ends sender and receiver.
    func stop() { self.state.withLock { $0.isStopping = true } }

    /// Waits for the answer to a datagram that is sent from now on.
    func untilAnswered() async throws {
        let first = self.state.withLock { $0.sent }
        try await eventually(within: .seconds(10), "an answer") {
            self.state.withLock { state in state.answered.contains { $0 >= first } }
        }
    }

    /// Lets traffic flow, and sees to it that every datagram sent in the meantime is answered.
    func expectNothingLost(for time: Duration) async throws {
        try await self.untilAnswered()
        let first = self.state.withLock { $0.sent }
        let count = Int(time / Self.interval)
        try await ContinuousClock().sleep(for: time)
        try await eventually(within: .seconds(15), "the last of \(count) datagrams") {
            self.state.withLock { $0.sent >= first + count }
        }
        await self.expectLost(atMost: 0, from: first)
    }

    /// Sees to it that of those sent up to now, all or from a number on, no more than `most` stay without an answer.
    func expectLost(atMost most: Int, from first: Int = 0) async {
        let sent = first..<self.state.withLock { $0.sent }
        try? await eventually(within: Self.patience, "the last answers") { self.missing(sent).count <= most }
        let missing = self.missing(sent)
        #expect(missing.count <= most, "\(missing.count) of \(sent.count) lost")
    }

    private func missing(_ range: Range<Int>) -> [Int] {
        self.state.withLock { state in range.filter { !state.answered.contains($0) } }
    }
}
