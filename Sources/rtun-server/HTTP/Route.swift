import AppProto

/// What a request's path asks for. A prefix in front is tolerated, as a reverse proxy may leave it there.
enum Route: Equatable {
    /// `/healthz`
    case health
    /// `/pub/sessions`
    case sessions
    /// `/pub/ws` for agents, `/sub/ws` for clients.
    case webSocket(Role)
    case unknown

    /// `uri` is the request target: a path, perhaps with a query.
    init(uri: String) {
        let path = uri.prefix { $0 != "?" && $0 != "#" }
        if path.hasSuffix("/healthz") {
            self = .health
        } else if path.hasSuffix("/pub/sessions") {
            self = .sessions
        } else if path.hasSuffix("/pub/ws") {
            self = .webSocket(.agent)
        } else if path.hasSuffix("/sub/ws") {
            self = .webSocket(.client)
        } else {
            self = .unknown
        }
    }

    /// The role that connects here, for a WebSocket's path.
    var webSocketRole: Role? {
        guard case .webSocket(let role) = self else { return nil }
        return role
    }
}
