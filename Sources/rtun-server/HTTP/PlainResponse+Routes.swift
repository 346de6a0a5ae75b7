import NIOHTTP1
import PlainHTTP

extension PlainResponse {
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
            guard let token = request.headers.bearerToken, isAuthorized(token) else {
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
}
