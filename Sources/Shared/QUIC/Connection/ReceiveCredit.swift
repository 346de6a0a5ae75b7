/// Connection-level flow control of the receiving side (RFC 9000 §4.1).
///
/// Credit for received bytes goes back to the peer at once while the application has little unconsumed, so that a
/// stream nobody reads does not take credit from its neighbours; above the threshold it goes back only as bytes are
/// consumed. What the peer may have sent and the application not yet consumed is never more than `limit`.
struct ReceiveCredit {
    /// The credit that the peer is given at the start and that returned credit tops up to.
    let window: Int
    private let threshold: Int
    private(set) var unconsumed = 0
    private var withheld = 0

    /// `limit`: bytes, at least 2.
    init(limit: Int) {
        self.window = max(limit / 2, 1)
        self.threshold = limit - self.window
    }

    /// `count` bytes were handed to the application. Returns how much credit to give back now.
    mutating func received(_ count: Int) -> Int {
        self.unconsumed += count
        guard self.unconsumed > self.threshold else { return count }
        self.withheld += count
        return 0
    }

    /// The application is done with `count` bytes. Returns how much credit to give back now.
    mutating func consumed(_ count: Int) -> Int {
        self.unconsumed -= count
        let returned = min(self.withheld, count)
        self.withheld -= returned
        return returned
    }
}
