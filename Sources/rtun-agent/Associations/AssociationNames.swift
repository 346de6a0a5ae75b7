import Basics
import DequeModule
import NIOCore

/// The names that one association sends to. What a name means stays the same for as long as the association lasts, so that
/// its datagrams keep going to the same place. No I/O.
struct AssociationNames {
    /// A datagram that waits for its name.
    struct Waiting {
        let payload: ByteBuffer
        let endpoint: Endpoint
    }

    /// What is known of a name.
    enum Answer: Equatable {
        /// In the order in which they are to be tried; none: there is no such name.
        case addresses([IPAddress])
        /// The datagram waits; nobody has asked yet.
        case ask
        /// The datagram waits for an answer that is on its way.
        case asked
        /// Too much waits already.
        case full
    }

    private enum Entry {
        case asked(Deque<Waiting>)
        case known([IPAddress])
        case unknown(since: NIODeadline)
    }

    /// Names that are kept; the oldest goes for another one.
    static let maximumNames = 256
    /// Names that may be looked up at once.
    static let maximumLookups = 16
    /// Datagrams that may wait for one name; then the oldest goes.
    static let maximumWaiting = 8
    /// How long a name that does not exist is taken for such.
    static let unknownTime = TimeAmount.seconds(2)

    private var entries: [String: Entry] = [:]
    /// In the order of their coming.
    private var order: Deque<String> = []
    private var lookups = 0

    /// A datagram is to go to `name`.
    mutating func look(
        _ name: String, for waiting: @autoclosure () -> Waiting, at now: NIODeadline
    ) -> Answer {
        switch self.entries[name] {
        case .known(let addresses):
            return .addresses(addresses)
        case .unknown(let since) where now - since < Self.unknownTime:
            return .addresses([])
        case .asked(var datagrams):
            self.entries[name] = nil
            if datagrams.count >= Self.maximumWaiting { datagrams.removeFirst() }
            datagrams.append(waiting())
            self.entries[name] = .asked(datagrams)
            return .asked
        case .unknown, nil:
            guard self.lookups < Self.maximumLookups else { return .full }
            if self.entries[name] == nil { self.makeRoom(for: name) }
            self.entries[name] = .asked([waiting()])
            self.lookups += 1
            return .ask
        }
    }

    /// The answer has come, if there is one; returns what waited for it.
    mutating func answered(_ name: String, _ addresses: [IPAddress], at now: NIODeadline) -> [Waiting] {
        guard case .asked(let waiting)? = self.entries[name] else { return [] }
        self.lookups -= 1
        self.entries[name] = addresses.isEmpty ? .unknown(since: now) : .known(addresses)
        return Array(waiting)
    }

    private mutating func makeRoom(for name: String) {
        if self.order.count >= Self.maximumNames {
            // Those that are being asked for are few, and stay.
            let index = self.order.firstIndex { other in
                if case .asked? = self.entries[other] { false } else { true }
            }
            if let index { self.entries[self.order.remove(at: index)] = nil }
        }
        self.order.append(name)
    }
}
