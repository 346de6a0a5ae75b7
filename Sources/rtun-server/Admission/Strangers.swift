import DequeModule
import NIOCore

/// The connections that have not proved the secret yet, limited in number.
///
/// One takes up to some hundred KiB (TLS, half a message), and anybody can open many. When there are too many the oldest
/// has to go: whoever means well is through in a few round trips, so that a flood keeps nobody out for long. Belongs to
/// the server's event loop.
final class Strangers {
    /// Names one connection.
    struct ID: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    /// Nobody stays a stranger for longer: time limits of request, throttle and handshake end that.
    private static let longestStay = TimeAmount.seconds(40)

    private let limit: Int
    private var connections: [ID: () -> Void] = [:]
    /// In the order of their coming; some are in `connections` no more.
    private var arrivals: Deque<(id: ID, at: NIODeadline)> = []
    private var next: UInt64 = 0

    /// At most `limit` at a time, at least one.
    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { self.connections.count }

    /// A connection has come; `close` ends it should it be in the way.
    func add(at now: NIODeadline, close: @escaping () -> Void) -> ID {
        let id = ID(number: self.next)
        self.next += 1
        self.connections[id] = close
        self.arrivals.append((id, now))
        while let first = self.arrivals.first {
            if let close = self.connections[first.id] {
                // A QUIC session that ended early is not told of: time takes it out.
                let isOver = now - first.at > Self.longestStay
                guard isOver || self.connections.count > self.limit else { break }
                self.connections[first.id] = nil
                self.arrivals.removeFirst()
                if !isOver { close() }
            } else {
                self.arrivals.removeFirst()
            }
        }
        return id
    }

    /// The connection has proved the secret, or is closed.
    func remove(_ id: ID) {
        self.connections[id] = nil
    }
}

@available(*, unavailable)
extension Strangers: Sendable {}
