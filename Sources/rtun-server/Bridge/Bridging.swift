/// What becomes of datagrams that a peer wants carried to the other one.
enum Bridging: Equatable {
    case carry(to: SessionID)
    /// The sender is no end of such a channel, or there is none (any more).
    case noRoute
    /// Not both ends take datagrams this way, or the server carries none.
    case notAllowed
}
