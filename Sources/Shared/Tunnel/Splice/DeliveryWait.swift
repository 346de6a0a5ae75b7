package import NIOCore

/// Waits until the other end's kernel has everything that was written to a connection, or has taken nothing for a while.
///
/// Belongs to the connection's event loop. When it goes, nothing is waited for any more.
package final class DeliveryWait {
    /// Between two looks: at first, and at most.
    private static let looks = (first: TimeAmount.milliseconds(1), last: TimeAmount.milliseconds(250))

    private let socket: any SplicedSocket
    private let eventLoop: any EventLoop
    private let isOver: () -> Void
    private var stall: StallWatch
    private var timer: Scheduled<Void>?

    /// `isOver` is called once, perhaps before this returns.
    package init(of socket: any SplicedSocket, on eventLoop: any EventLoop, isOver: @escaping () -> Void) {
        self.socket = socket
        self.eventLoop = eventLoop
        self.isOver = isOver
        self.stall = StallWatch(at: eventLoop.now)
        self.look(next: Self.looks.first)
    }

    deinit { self.timer?.cancel() }

    private func look(next: TimeAmount) {
        let left = self.socket.undeliveredBytes
        guard left > 0, !self.stall.isStalled(left: left, at: self.eventLoop.now) else { return self.isOver() }
        self.timer = self.eventLoop.assumeIsolated().scheduleTask(in: next) { [weak self] in
            self?.look(next: min(next * 2, Self.looks.last))
        }
    }
}

@available(*, unavailable)
extension DeliveryWait: Sendable {}
