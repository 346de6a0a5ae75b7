import NIOCore

/// Numbers the ways by which datagrams come: one socket and one address of the peer have one number. Few are in use at a
/// time.
struct ArrivalNumbers {
    /// Of what comes by way of the server.
    static let bridge: UInt32 = 0
    /// Different ways that are told apart.
    private static let maximum = 16

    private struct Arrival {
        let base: PathBase
        let source: SocketAddress
        let number: UInt32
    }

    private var arrivals: [Arrival] = []
    private var next: UInt32 = 1

    mutating func number(of source: SocketAddress, on base: PathBase) -> UInt32 {
        if let known = self.arrivals.first(where: { $0.base == base && $0.source == source }) { return known.number }
        if self.arrivals.count >= Self.maximum { self.arrivals.removeFirst() }
        let arrival = Arrival(base: base, source: source, number: self.next)
        self.next &+= 1
        self.arrivals.append(arrival)
        return arrival.number
    }
}
