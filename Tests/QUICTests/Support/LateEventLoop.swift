import Dispatch
import NIOCore

/// An event loop that runs when it is told to, as one does whose process gets no processor for a while: its clock stands still
/// in between, then jumps, and everything that has become due by then runs late. Embedded loops fire each timer at its time.
///
/// `@unchecked Sendable`: everything that has to do with one of these happens on one thread, a test's.
final class LateEventLoop: EventLoop, @unchecked Sendable {
    private struct Timer {
        let number: UInt64
        let deadline: NIODeadline
        let body: () -> Void
    }

    private(set) var now: NIODeadline
    private var immediate: [() -> Void] = []
    private var timers: [Timer] = []
    private var nextNumber: UInt64 = 0

    init(now: NIODeadline) { self.now = now }

    /// When the next timer is due; now, if there is something to do at once.
    var nextDeadline: NIODeadline? {
        self.immediate.isEmpty ? self.timers.map(\.deadline).min() : self.now
    }

    /// Moves the clock, and runs nothing.
    func setClock(_ now: NIODeadline) { self.now = max(now, self.now) }

    /// Runs what is due, in the order of the deadlines.
    func runDue() {
        self.runImmediate()
        while let timer = self.timers.min(by: { ($0.deadline, $0.number) < ($1.deadline, $1.number) }),
            timer.deadline <= self.now
        {
            self.timers.removeAll { $0.number == timer.number }
            timer.body()
            self.runImmediate()
        }
    }

    /// Has `body` run at `deadline`, or as soon after it as the loop runs.
    func schedule(at deadline: NIODeadline, _ body: @escaping () -> Void) {
        self.timers.append(Timer(number: self.nextNumber, deadline: deadline, body: body))
        self.nextNumber += 1
    }

    /// Has `body` run in the next turn.
    func later(_ body: @escaping () -> Void) { self.immediate.append(body) }

    /// Forgets what has not run, so that nothing keeps anything.
    func clear() {
        self.immediate = []
        self.timers = []
    }

    private func runImmediate() {
        while !self.immediate.isEmpty {
            let tasks = self.immediate
            self.immediate = []
            for task in tasks { task() }
        }
    }

    // MARK: EventLoop

    var inEventLoop: Bool { true }

    func execute(_ task: @escaping @Sendable () -> Void) { self.immediate.append(task) }

    func scheduleTask<T>(
        deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T
    ) -> Scheduled<T> {
        let promise = self.makePromise(of: T.self)
        let number = self.nextNumber
        self.nextNumber += 1
        self.timers.append(
            Timer(number: number, deadline: deadline) { promise.assumeIsolated().completeWith(Result { try task() }) })
        return Scheduled(promise: promise) { self.timers.removeAll { $0.number == number } }
    }

    func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        self.scheduleTask(deadline: self.now + delay, task)
    }

    func next() -> any EventLoop { self }
    func any() -> any EventLoop { self }
    func makeIterator() -> EventLoopIterator { EventLoopIterator([self]) }
    func preconditionInEventLoop(file: StaticString, line: UInt) {}
    func preconditionNotInEventLoop(file: StaticString, line: UInt) {}

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(nil) }
    }
}
