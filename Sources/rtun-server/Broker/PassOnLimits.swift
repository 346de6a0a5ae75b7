import NIOCore

/// What one session may have passed on to others: signalling about peer channels, which the server cannot judge, and which
/// takes the receiver's line.
struct PassOnLimits {
    /// The largest message, in bytes. An offer with 64 candidates takes 6 KiB.
    static let maximumMessage = 16 * 1024
    /// While more waits for a receiver, in bytes, nothing is passed on to it: half of what would end its connection.
    static let maximumPending = 512 * 1024
    /// What a message costs besides its bytes.
    private static let messageCost = 256

    /// Bytes of one sender, and of one sender to one receiver.
    struct Rate {
        let perSecond: Int
        let burst: Int

        static let sender = Rate(perSecond: 256 << 10, burst: 2 << 20)
        static let pair = Rate(perSecond: 128 << 10, burst: 1 << 20)
    }

    /// When a sender's buckets will be full again.
    private struct Sender {
        var fullAt: NIODeadline?
        var receivers: [SessionID: NIODeadline] = [:]
    }

    private var senders: [SessionID: Sender] = [:]
    /// Receivers of one sender above which those are forgotten whose bucket is full.
    private static let rememberedReceivers = 64

    /// Whether a message of `bytes` may be passed on now; if so, it counts.
    mutating func admit(_ bytes: Int, from sender: SessionID, to receiver: SessionID, at now: NIODeadline) -> Bool {
        let known = self.senders[sender]
        guard let senderFull = Self.take(bytes, .sender, known?.fullAt, at: now),
            let pairFull = Self.take(bytes, .pair, known?.receivers[receiver], at: now)
        else { return false }
        self.senders[sender, default: Sender()].fullAt = senderFull
        self.senders[sender]?.receivers[receiver] = pairFull
        if let count = known?.receivers.count, count > Self.rememberedReceivers {
            self.senders[sender]?.receivers = known?.receivers.filter { $0.value > now } ?? [:]
            self.senders[sender]?.receivers[receiver] = pairFull
        }
        return true
    }

    /// A session has ended.
    mutating func remove(_ session: SessionID) {
        self.senders[session] = nil
    }

    private static func take(_ bytes: Int, _ rate: Rate, _ fullAt: NIODeadline?, at now: NIODeadline) -> NIODeadline? {
        let cost = TimeAmount.nanoseconds(Int64(bytes + Self.messageCost) * 1_000_000_000 / Int64(rate.perSecond))
        let capacity = TimeAmount.nanoseconds(Int64(rate.burst) * 1_000_000_000 / Int64(rate.perSecond))
        let next = max(fullAt ?? now, now) + cost
        return next - now <= capacity ? next : nil
    }
}
