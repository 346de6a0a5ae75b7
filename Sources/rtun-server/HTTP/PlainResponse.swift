import NIOHTTP1

/// A whole answer to a plain HTTP request.
struct PlainResponse: Equatable {
    var status: HTTPResponseStatus
    var contentType = "text/plain; charset=utf-8"
    var body: String
    /// Header fields besides those every response has.
    var headers: HTTPHeaders = [:]

    /// Answers what is no successful WebSocket upgrade. `sessions` is called for a request with a valid token only.
    init(
        to request: HTTPRequestHead, isAuthorized: (_ bearer: String) -> Bool, sessions: () -> SessionsDocument
    ) {
        switch Route(uri: request.uri) {
        case .health, .sessions, .webSocket:
            guard request.method == .GET || request.method == .HEAD else {
                self.init(
                    status: .methodNotAllowed, body: "only GET is answered here\n", headers: ["Allow": "GET, HEAD"])
                return
            }
        case .unknown: break
        }
        switch Route(uri: request.uri) {
        case .health:
            self.init(status: .ok, body: "ok\n")
        case .sessions:
            guard let token = Self.bearerToken(request.headers), isAuthorized(token) else {
                self.init(
                    status: .unauthorized, body: "a token from rtun-server --print-sessions-token is needed\n",
                    headers: ["WWW-Authenticate": "Bearer realm=\"rtun\""])
                return
            }
            self.init(status: .ok, contentType: "application/json", body: sessions().json.text + "\n")
        case .webSocket:
            self.init(
                status: .upgradeRequired, body: "a WebSocket is expected here\n", headers: ["Upgrade": "websocket"])
        case .unknown:
            self.init(status: .notFound, body: "not found\n")
        }
    }

    init(
        status: HTTPResponseStatus, contentType: String = "text/plain; charset=utf-8", body: String,
        headers: HTTPHeaders = [:]
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.headers = headers
    }

    /// The token of `Authorization: Bearer …` (RFC 6750 §2.1); the scheme's case does not matter.
    private static func bearerToken(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "authorization") else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " })
    }
}
