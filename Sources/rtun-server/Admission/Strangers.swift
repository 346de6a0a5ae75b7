import Basics
import DequeModule
import NIOCore

/// The connections that have not proved the secret yet, limited in number, and shared out by where they come from.
///
/// One takes up to some hundred KiB (TLS, half a message), and anybody can open many. When there are too many the oldest
/// of those has to go that have most: whoever means well is through in a few round trips, so that a flood keeps nobody
/// out for long. Belongs to the server's event loop.
final class Strangers {
    /// Names one connection.
    struct ID: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    /// Nobody stays a stranger for longer: time limits of request, throttle and handshake end that.
    private static let longestStay = TimeAmount.seconds(40)
    /// One source gets one of so many parts of the places.
    private static let shares = 16

    private var places: FairPlaces<ID, SourceNetwork>
    private var connections: [ID: () -> Void] = [:]
    /// In the order of their coming; some are in `connections` no more.
    private var arrivals: Deque<(id: ID, at: NIODeadline)> = []
    private var next: UInt64 = 0

    /// At most `limit` at a time, at least one.
    init(limit: Int) {
        self.places = FairPlaces(limit: limit, share: limit / Self.shares)
    }

    var count: Int { self.connections.count }

    /// A connection has come; `close` ends it should it be in the way.
    ///
    /// - Parameter source: nil when many share the address that it comes from.
    func add(from source: SocketAddress?, at now: NIODeadline, close: @escaping () -> Void) -> ID {
        self.forgetOld(at: now)
        let id = ID(number: self.next)
        self.next += 1
        self.connections[id] = close
        self.arrivals.append((id, now))
        self.seat(id, source)
        return id
    }

    /// It has turned out where the connection really comes from.
    func move(_ id: ID, to source: SocketAddress) {
        guard self.places.remove(id) else { return }
        self.seat(id, source)
    }

    private func seat(_ id: ID, _ source: SocketAddress?) {
        guard let evicted = self.places.add(id, from: source.map { SourceNetwork($0) }) else { return }
        self.connections.removeValue(forKey: evicted)?()
    }

    /// A QUIC session that ended early is not told of: time takes it out.
    private func forgetOld(at now: NIODeadline) {
        while let first = self.arrivals.first,
            self.connections[first.id] == nil || now - first.at > Self.longestStay
        {
            self.arrivals.removeFirst()
            self.remove(first.id)
        }
    }

    /// The connection has proved the secret, or is closed.
    func remove(_ id: ID) {
        self.connections[id] = nil
        self.places.remove(id)
    }
}

@available(*, unavailable)
extension Strangers: Sendable {}
