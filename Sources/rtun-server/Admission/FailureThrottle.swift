import Basics
import NIOCore

/// Slows down addresses from which proofs of the secret fail: a token bucket each.
///
/// Every failure takes a token; tokens come back one by one. An address without tokens waits before its next handshake
/// begins, and is sent away when the wait would be long. Whoever never fails is never held up.
struct FailureThrottle {
    /// What an address may do.
    enum Admission: Equatable {
        case now
        case after(TimeAmount)
        /// Too many failures: come back later.
        case refused
    }

    struct Configuration {
        /// Failures in a row that cost nothing.
        var burst: Int64 = 10
        /// How often a token comes back.
        var interval = TimeAmount.seconds(2)
        /// The longest an address is kept waiting instead of being refused. Peers give up after 10 s.
        var longestWait = TimeAmount.seconds(4)
        /// For how long failures count at most, however many there were.
        var longestMemory = TimeAmount.seconds(60)
        /// Addresses remembered; beyond that the table is cleared of those that are free again, else of all.
        var capacity = 16_384

        /// For an address that many peers share, such as that of a proxy which terminates TLS: enough that one peer with
        /// a wrong secret does not keep the others out.
        static let proxy = Configuration(burst: 200, interval: .milliseconds(50))
    }

    private let configuration: Configuration
    /// When the bucket will be full again.
    private var fullAt: [SourceNetwork: NIODeadline] = [:]

    init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    var count: Int { self.fullAt.count }

    /// May a handshake with `address` begin?
    func admit(_ address: SocketAddress, at now: NIODeadline) -> Admission {
        guard let fullAt = self.fullAt[SourceNetwork(address)] else { return .now }
        let free = fullAt - self.configuration.interval * self.configuration.burst
        guard free > now else { return .now }
        let wait = free - now
        return wait <= self.configuration.longestWait ? .after(wait) : .refused
    }

    /// A proof from `address` failed.
    mutating func recordFailure(_ address: SocketAddress, at now: NIODeadline) {
        self.makeRoom(at: now)
        let source = SourceNetwork(address)
        let latest = now + self.configuration.interval * self.configuration.burst + self.configuration.longestMemory
        let fullAt = max(self.fullAt[source] ?? now, now) + self.configuration.interval
        self.fullAt[source] = min(fullAt, latest)
    }

    private mutating func makeRoom(at now: NIODeadline) {
        guard self.fullAt.count >= self.configuration.capacity else { return }
        self.fullAt = self.fullAt.filter { $0.value > now }
        if self.fullAt.count >= self.configuration.capacity { self.fullAt = [:] }
    }
}
