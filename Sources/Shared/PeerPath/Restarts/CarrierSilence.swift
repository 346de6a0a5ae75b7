import NIOCore

/// What it means that a carrier misses answers: that its path is looked at every second until it has some again, and its
/// route doubted now and then. A value without clock or timer.
struct CarrierSilence {
    enum Look {
        case usual
        /// On the bridge, the route is in doubt.
        case longer
    }

    private static let interval = TimeAmount.seconds(1)
    /// Looks between doubts, at most; there are two before the first, and then twice as many each time.
    private static let mostPatience = 10
    /// So many looks, and what the carrier has measured is of no more use.
    private static let longSilence = 3

    /// When to look; nil while the carrier has its answers.
    private(set) var nextLook: NIODeadline?
    private var looks = 0
    private var patience = 2
    private var nextDoubt = 2

    /// The carrier misses answers.
    mutating func begin(at now: NIODeadline) {
        if self.nextLook == nil { self.nextLook = now }
    }

    /// It has heard of the peer. Returns whether it had not for long.
    mutating func end() -> Bool {
        defer { self = CarrierSilence() }
        return self.looks >= Self.longSilence
    }

    /// The look that is due; nil when none is.
    mutating func look(at now: NIODeadline) -> Look? {
        guard let nextLook = self.nextLook, now >= nextLook else { return nil }
        self.nextLook = now + Self.interval
        self.looks += 1
        guard self.looks == self.nextDoubt else { return .usual }
        self.patience = min(self.patience * 2, Self.mostPatience)
        self.nextDoubt += self.patience
        return .longer
    }
}
