package import Basics
package import ICE
package import NIOCore
package import STUN

/// What a ``PathEngine`` wants done, in this order.
package enum PathOutput {
    /// Open sockets for a session; `socketsOpened` or `socketsFailed` follows.
    case openSockets(generation: UInt32)
    /// Open one more, against a NAT that maps by destination; `spreadSocketOpened` follows, or nothing.
    case openSpreadSocket(generation: UInt32)
    case closeSocket(PathBase)
    /// Close what belongs to a session, and end its questions about names.
    case closeSockets(generation: UInt32)
    /// Send one datagram, or with `segmentSize` several of that size in one send; `sendFailed` follows where the kernel refuses.
    case transmit(ByteBuffer, segmentSize: Int?, from: PathBase, to: SocketAddress)
    /// Look up the STUN servers; `gather`, and then `resolved` for each list of addresses, follow.
    case lookUpServers(generation: UInt32)
    /// The first session has its sockets, or there will be none: `localDescription` is what the offer or the answer says.
    case described
    /// Tell the peer of a candidate.
    case candidate(ICECandidate, generation: UInt32)
    /// Tell the peer that a session has no more candidates, and how our NAT maps.
    case endOfCandidates(generation: UInt32, MappingBehavior)
    /// At a client: ask the agent for a session, and for the route through the server; `PathMessage.restarted` or
    /// `restartFailed` follows.
    case askRestart(PathDescription)
    /// At an agent: answer a client's request.
    case answerRestart(PathDescription, request: UInt64)
    /// At an agent: ask the client for a session.
    case wantRestart
    /// Datagrams go another way from now on, or none; at first, there is a way at all.
    case pathChanged(from: SelectedPath?, to: SelectedPath?, PathChangeReason)
    /// `maximumDatagramSize` has changed, with the path as it was.
    case limitChanged
    /// Nothing that was measured of round trips holds any more.
    case forgetRoundTrips
    /// No direct path was found, or the one that was found is lost; what was tried.
    case noDirectPath(PathReport)
    case note(PathNote)
    /// There is no path, or none any more. The last output.
    case ended(PathFailure)
}

/// What was tried to find a direct path, and what is known of why that was not enough.
package struct PathReport: Sendable {
    package let ice: ICEReport
    package let localMapping: MappingBehavior
    package let peerMapping: MappingBehavior
    /// Why guessing ports would be of no use; nil when it is not the reason.
    package let obstacle: SpreadObstacle?

    /// In a few words, why there is no direct path.
    package var cause: String {
        switch (self.localMapping, self.peerMapping) {
        case (.udpBlocked, .udpBlocked): return "UDP is blocked on both sides: no STUN server answers"
        case (.udpBlocked, _): return "UDP is blocked on this side: no STUN server answers"
        case (_, .udpBlocked): return "UDP is blocked on the other side: no STUN server answers there"
        default: break
        }
        if self.ice.localCandidates.isEmpty { return "this machine has no address for it" }
        if self.ice.remoteCandidates.isEmpty { return "the other side names no address" }
        if self.ice.pairs.isEmpty { return "the two sides share no address family" }
        if let obstacle = self.obstacle, obstacle != .notNeeded { return "\(obstacle)" }
        let hears = self.ice.pairs.contains { $0.checksReceived > 0 }
        let isAnswered = self.ice.pairs.contains { $0.outcome.isAnswer }
        switch (hears, isAnswered) {
        case (false, false): return "no UDP datagram gets through in either direction: firewalls, or NATs, drop them"
        case (true, false): return "datagrams of the other side arrive, and ours are not answered"
        case (_, true): return "the paths that were found carry too little"
        }
    }
}

/// Why there is no path.
package enum PathFailure: Error, Sendable {
    /// No path was found.
    case noPath(ICEReport)
    /// There was one, and it died.
    case pathLost(ICEReport)
    /// There is nothing but the bridge, and it has been out of reach for so long.
    case bridgeLost(TimeAmount)
    /// The sockets of the only session could not be opened, or are gone.
    case sockets
    /// Only the bridge may be used, and the server has none.
    case serverDoesNotBridge
    /// Only the bridge may be used, and the peer wants direct paths only.
    case peerDoesNotBridge
}

/// What is of use to somebody who looks for the reason of something.
package enum PathNote: Sendable {
    /// A STUN server does not help; nil: no answer in time.
    case serverDoesNotHelp(SocketAddress, STUNError?)
    case peerStoppedAnswering(ICECandidate)
    case carriesSmallDatagramsOnly(ICECandidate)
    case guessesPorts(SpreadPlan)
}
