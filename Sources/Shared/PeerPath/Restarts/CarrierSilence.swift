/// What it means that a carrier misses answers, by how often in a row it was seen to. A value that is told of each look.
struct CarrierSilence {
    /// Looks at a carrier that misses answers, before its route is doubted; then twice as many each time.
    private static let firstSuspicion = 2
    private static let mostSuspicions = 10
    /// So many looks in a row at a carrier that misses answers, and what it has measured is of no more use.
    private static let longSilence = 3

    private var suspicions = 0
    private var suspicionsNeeded = Self.firstSuspicion
    private var looksInSilence = 0

    /// Returns whether it has been suspect for long.
    mutating func isWell() -> Bool {
        let wasSilent = self.looksInSilence >= Self.longSilence
        self = CarrierSilence()
        return wasSilent
    }

    /// The carrier misses answers. Returns whether it has for so long that, on the bridge, the route is in doubt.
    mutating func isSuspect() -> Bool {
        self.suspicions += 1
        self.looksInSilence += 1
        guard self.suspicions >= self.suspicionsNeeded else { return false }
        self.suspicions = 0
        self.suspicionsNeeded = min(self.suspicionsNeeded * 2, Self.mostSuspicions)
        return true
    }
}
