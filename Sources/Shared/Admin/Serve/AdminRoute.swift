import NIOHTTP1
import PlainHTTP

/// What a request's path asks for.
enum AdminRoute: String, CaseIterable {
    case page = "/"
    case document = "/status.json"
    case table = "/status.txt"
    case metrics = "/metrics"
    /// The program runs.
    case health = "/healthz"
    /// It does what it is there for.
    case readiness = "/readyz"

    /// `target` is a path, perhaps with a query. Nil where there is nothing.
    init?(target: String) {
        self.init(rawValue: String(target.prefix { $0 != "?" && $0 != "#" }))
    }

    /// The answer to a request that asks for nothing that there is; nil for one that does.
    static func refusal(of head: HTTPRequestHead) -> PlainResponse? {
        guard Self(target: head.uri) != nil else {
            let paths = Self.allCases.map(\.rawValue).joined(separator: " ")
            return PlainResponse(status: .notFound, body: "not found; there are \(paths)\n")
        }
        guard head.method == .GET || head.method == .HEAD else {
            return PlainResponse(
                status: .methodNotAllowed, body: "only GET is answered here\n", headers: ["Allow": "GET, HEAD"])
        }
        return nil
    }
}

extension PlainResponse {
    /// With the fields that keep a browser from doing with the answer what was not meant.
    func guarded(program: String, contentSecurityPolicy: String = "default-src 'none'; frame-ancestors 'none'") -> Self
    {
        var response = self
        let fields = [
            ("Server", program),
            ("Content-Security-Policy", contentSecurityPolicy),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ]
        for (name, value) in fields { response.headers.add(name: name, value: value) }
        return response
    }
}
