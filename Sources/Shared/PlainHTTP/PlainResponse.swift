package import NIOHTTP1

/// A whole answer to a plain HTTP request.
package struct PlainResponse: Equatable, Sendable {
    package var status: HTTPResponseStatus
    package var contentType: String
    package var body: String
    /// Header fields besides those every response has.
    package var headers: HTTPHeaders

    package init(
        status: HTTPResponseStatus, contentType: String = "text/plain; charset=utf-8", body: String,
        headers: HTTPHeaders = [:]
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.headers = headers
    }
}

extension HTTPHeaders {
    /// The credentials of `Authorization: Bearer …` (RFC 6750 §2.1); the scheme's case does not matter.
    package var bearerToken: String? { self.credentials(of: "bearer") }

    /// What stands behind the name of an authentication scheme, in lower case, in `Authorization` (RFC 9110 §11.6.2).
    package func credentials(of scheme: String) -> String? {
        guard let value = self.first(name: "authorization") else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == scheme else { return nil }
        return String(parts[1].drop { $0 == " " })
    }
}
