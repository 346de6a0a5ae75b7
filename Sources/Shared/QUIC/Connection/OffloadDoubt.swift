import NIOCore

/// Finds out whether datagrams that leave together (UDP GSO) get lost: there are devices that swallow such sends whole, and
/// nobody tells the sender.
///
/// Where they do, everything that has left together is lost, and what has left singly is not. So when nearly as many packets
/// have been lost as have left together, over a while in which that was a fair number, none leave together for a minute. When
/// more have been lost, it was for another reason: an outage takes all alike.
struct OffloadDoubt {
    /// Packets that say enough.
    private static let sample = 16
    /// After this long what has left together says nothing any more about what is lost.
    private static let memory = TimeAmount.seconds(10)
    private static let verdictTime = TimeAmount.seconds(60)
    /// Set while sends of several datagrams do not arrive.
    private(set) var isFounded = false
    private var foundedAt = NIODeadline.uptimeNanoseconds(0)

    /// Packets that have left together since the last verdict, and when the first of them did.
    private var together = 0
    private var since: NIODeadline?
    private var lostBefore: UInt64 = 0

    /// `count` packets have left together. `lost`: how many had been lost by then, of all.
    mutating func sent(_ count: Int, lost: UInt64, at now: NIODeadline) {
        guard !self.isFounded else { return }
        if self.since == nil {
            self.since = now
            self.lostBefore = lost
        }
        self.together += count
    }

    /// Looks at what has become of them, once that can be known: after `wait`, several round trips.
    mutating func judge(lost: UInt64, at now: NIODeadline, wait: TimeAmount) {
        if self.isFounded {
            self.isFounded = now - self.foundedAt < Self.verdictTime
            return
        }
        guard let since = self.since, now - since >= wait else { return }
        if self.together >= Self.sample {
            let count = UInt64(self.together)
            let lost = lost - self.lostBefore
            self.isFounded = lost * 10 >= count * 9 && lost <= count
            self.foundedAt = now
        } else if now - since < Self.memory {
            return
        }
        self.together = 0
        self.since = nil
    }
}
