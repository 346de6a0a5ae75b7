import NIOCore

/// Whether datagrams can go by way of the server, and whether the client at the other end has taken that way.
struct BridgeState {
    enum Availability: Hashable {
        /// Not to be had: one of the two peers or the server does not want it.
        case unavailable
        /// There is no control connection at the moment.
        case down
        case up
    }

    let choice: PathChoice
    /// Whether the control connection is there.
    var signalIsUp = true
    /// Whether its server carries datagrams between peers.
    var serverBridges: Bool
    /// Whether the peer takes them.
    var peerBridges = false
    /// At an agent.
    var following: BridgeFollowing?

    /// Whether this side takes datagrams by way of the server.
    var bridgesHere: Bool { self.choice != .direct && self.serverBridges }

    var availability: Availability {
        !self.bridgesHere || !self.peerBridges ? .unavailable : self.signalIsUp ? .up : .down
    }

    /// Whether the client has left the direct path for the bridge.
    var peerHasLeft: Bool { self.availability == .up && self.following?.peerHasLeft ?? false }
}

/// A client that came by the direct path and comes by the bridge now has found that path dead. The agent need not find out by
/// itself, in which time everything that it sends would be lost.
struct BridgeFollowing {
    /// Datagrams on the bridge may be so much later than those that were sent after them straight.
    private static let bridgeLag = TimeAmount.milliseconds(500)
    /// Between two times of following the client to the bridge: nobody has authenticated the datagrams that ask for it. The
    /// session's monitor notices the same a little later.
    private static let interval = TimeAmount.seconds(10)

    /// Whether the client has left the direct path that we still believe in.
    private(set) var peerHasLeft = false
    private var lastDirectArrival: NIODeadline?
    private var earliest = NIODeadline.uptimeNanoseconds(0)

    /// A datagram came straight from the client. Returns whether the client had left, and is back.
    mutating func cameStraight(at now: NIODeadline) -> Bool {
        self.lastDirectArrival = now
        guard self.peerHasLeft else { return false }
        self.peerHasLeft = false
        return true
    }

    /// Datagrams came by the bridge, though this side uses a direct path. Returns whether to follow the client.
    mutating func cameByBridge(at now: NIODeadline) -> Bool {
        guard !self.peerHasLeft, let last = self.lastDirectArrival, now - last > Self.bridgeLag, now >= self.earliest
        else { return false }
        self.peerHasLeft = true
        self.earliest = now + Self.interval
        return true
    }
}
