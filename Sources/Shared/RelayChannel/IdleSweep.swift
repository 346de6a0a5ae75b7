package import NIOCore

/// Ends idle flows now and then: at most 4096 at a time, and the rest in the next turn of the loop. Belongs to an event
/// loop.
package final class IdleSweep {
    private static let flowsPerSweep = 4096
    /// The longest time between two sweeps.
    private static let longestInterval = TimeAmount.seconds(5)

    private let eventLoop: any EventLoop
    private let idleTimeout: TimeAmount
    private let interval: TimeAmount
    private let endFlow: (NIODeadline) -> Bool
    private let ended: () -> Void
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - share: how much longer than it should a flow lives at most, as a part of `idleTimeout`: 8 for an eighth.
    ///   - endFlow: ends one flow whose last datagram was before that time; false when there is none.
    ///   - ended: called at the end of each sweep.
    package init(
        eventLoop: any EventLoop, idleTimeout: TimeAmount, share: Int64 = 1,
        endFlow: @escaping (NIODeadline) -> Bool, ended: @escaping () -> Void = {}
    ) {
        self.eventLoop = eventLoop
        self.idleTimeout = idleTimeout
        self.interval = min(.nanoseconds(idleTimeout.nanoseconds / share), Self.longestInterval)
        self.endFlow = endFlow
        self.ended = ended
        self.arm(in: self.interval)
    }

    deinit { self.timer?.cancel() }

    /// No flow is ended any more.
    package func stop() {
        self.timer?.cancel()
        self.timer = nil
    }

    private func arm(in delay: TimeAmount) {
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self] in self?.sweep() }
    }

    private func sweep() {
        let deadline = self.eventLoop.now - self.idleTimeout
        let isThrough = (0..<Self.flowsPerSweep).contains { _ in !self.endFlow(deadline) }
        // Armed first: who is told of the end may stop it.
        self.arm(in: isThrough ? self.interval : .zero)
        self.ended()
    }
}

@available(*, unavailable)
extension IdleSweep: Sendable {}
