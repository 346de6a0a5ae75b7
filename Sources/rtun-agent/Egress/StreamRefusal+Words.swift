extension Egress.StreamRefusal {
    /// How many there may be.
    var limit: Int {
        switch self {
        case .full(let limit), .share(let limit), .own(let limit): limit
        }
    }

    /// What the client is told.
    var words: String {
        switch self {
        case .full(let limit): "the agent is at its limit of \(limit) connections"
        case .share(let limit): "this client has its share of the agent's \(limit) connections"
        case .own(let limit): "the agent allows this client \(limit) connections at once"
        }
    }
}
