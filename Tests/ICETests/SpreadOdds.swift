/// How likely a spread is to succeed on a NAT that draws its ports at random.
enum SpreadOdds {
    /// Ports that are drawn and guessed from: 1024…65535.
    static let portCount = 64_512

    /// The odds, 0…1, that at least one of P different guesses is among the S ports that the NAT has given to S sockets.
    ///
    /// All guesses miss when each misses all that are left: the first one with 1 − S/64512, the second, for which one port
    /// less is in question and all S still are among the rest, with 1 − S/64511, and so on:
    ///
    ///     odds = 1 − Π (1 − S / (64512 − i)),  i = 0 … P − 1
    ///
    /// - Parameters:
    ///   - sockets: S, each with a port of its own; 0…64512.
    ///   - probes: P, 0…64512.
    static func odds(sockets: Int, probes: Int) -> Double {
        guard sockets > 0, probes > 0 else { return 0 }
        // There are not enough other ports to miss with.
        guard probes <= self.portCount - min(sockets, self.portCount) else { return 1 }
        var miss = 1.0
        for guess in 0..<probes {
            miss *= 1 - Double(sockets) / Double(self.portCount - guess)
        }
        return 1 - miss
    }
}
