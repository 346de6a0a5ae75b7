import DequeModule
import NIOCore

/// Datagrams that wait for a channel: few, and not for long. The oldest go first.
struct WaitingDatagrams {
    struct Datagram: Equatable {
        let source: LocalSender
        let payload: ByteBuffer
        let arrival: NIODeadline
    }

    /// Most datagrams that wait.
    static let maximumCount = 256
    /// Most bytes of payload that wait.
    static let maximumBytes = 1 << 20
    /// Whoever sent a datagram has repeated it or given up by then.
    static let maximumAge = TimeAmount.seconds(10)

    private var datagrams: Deque<Datagram> = []
    private var bytes = 0

    var count: Int { self.datagrams.count }

    /// Adds a datagram and returns how many were dropped to make room for it.
    mutating func append(_ datagram: Datagram) -> Int {
        self.datagrams.append(datagram)
        self.bytes += datagram.payload.readableBytes
        var dropped = 0
        while self.datagrams.count > Self.maximumCount || self.bytes > Self.maximumBytes, self.popFirst() != nil {
            dropped += 1
        }
        return dropped
    }

    /// Takes out what is older than it may be and returns how many that were.
    mutating func removeStale(at now: NIODeadline) -> Int {
        var removed = 0
        while let first = self.datagrams.first, now - first.arrival > Self.maximumAge, self.popFirst() != nil {
            removed += 1
        }
        return removed
    }

    /// The oldest datagram.
    mutating func popFirst() -> Datagram? {
        guard let datagram = self.datagrams.popFirst() else { return nil }
        self.bytes -= datagram.payload.readableBytes
        return datagram
    }

    /// When ``removeStale(at:)`` has something to do.
    var nextDeadline: NIODeadline? { self.datagrams.first.map { $0.arrival + Self.maximumAge + .nanoseconds(1) } }
}
