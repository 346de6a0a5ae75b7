package import Basics
package import ICE

/// What an offer, an answer, a restart or the answer to one says of an ICE session.
package struct PathDescription: Sendable {
    /// Counts the ICE sessions of a channel, the first is 0.
    package var generation: UInt32
    package var credentials: ICECredentials
    package var candidates: [ICECandidate]
    /// Whether the one that it describes takes datagrams by way of the server.
    package var bridges = false

    package init(generation: UInt32, credentials: ICECredentials, candidates: [ICECandidate], bridges: Bool = false) {
        self.generation = generation
        self.credentials = credentials
        self.candidates = candidates
        self.bridges = bridges
    }
}

/// What the peer says of paths through the control connection.
package enum PathMessage: Sendable {
    /// The offer, at an agent, or the answer, at a client.
    ///
    /// - `answersPadding`: whether the peer answers padded checks in kind.
    case description(PathDescription, answersPadding: Bool)
    /// One more address of a session, if it is one of a kind that is known.
    case candidate(ICECandidate, generation: UInt32)
    /// There are no more of a session. How the peer's NAT maps, and how many sockets it would open against one that maps by
    /// destination.
    case endOfCandidates(generation: UInt32, MappingBehavior, spread: Int)
    /// At an agent: the client wants a new session, or its route through the server. `PathOutput.answerRestart` with the same
    /// number follows.
    case restart(PathDescription, request: UInt64)
    /// At a client: the agent's answer to what `PathOutput.askRestart` has asked for.
    case restarted(PathDescription)
    /// At a client: that question has failed.
    case restartFailed
    /// At a client: the agent asks for a new session.
    case restartWanted
}
