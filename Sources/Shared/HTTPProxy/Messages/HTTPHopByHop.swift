/// The fields that are meant for the next program on the way only, and are not passed on (RFC 9110 §7.6.1).
struct HTTPHopByHop {
    /// What `Connection` names.
    private let options: [ArraySlice<UInt8>]

    init(_ fields: HTTPFields) {
        self.options = fields.members("connection")
    }

    /// Those that go even if `Connection` does not name them, with those that are written anew: `Transfer-Encoding` and `Host`.
    private static let names: [StaticString] = [
        "connection", "proxy-connection", "keep-alive", "te", "transfer-encoding", "upgrade", "http2-settings",
    ]

    /// Whether a field is for this hop. `Content-Length`, which says where a message ends, stays, whatever `Connection` says.
    func contains(_ field: HTTPField) -> Bool {
        Self.names.contains { field.isNamed($0) }
            || self.options.contains { field.isNamed($0) } && !field.isNamed("content-length")
    }

    /// Fields that a trailer must not bring (RFC 9110 §6.5.1): what frames and routes messages, and what gives access.
    private static let notInTrailers: [StaticString] = [
        "content-length", "host", "trailer", "authorization", "proxy-authorization", "proxy-authenticate",
        "proxy-authentication-info", "set-cookie", "cookie", "expect", "max-forwards", "content-encoding",
        "content-type",
        "content-range", "cache-control", "via", "x-forwarded-for",
    ]

    /// The fields of a trailer that are passed on. Those that must not be there are left out, as RFC 9112 §7.1.2 allows.
    static func passedOn(ofTrailer trailer: HTTPFields) -> [HTTPField] {
        trailer.lines.filter { field in
            !(Self.names + Self.notInTrailers).contains { field.isNamed($0) }
        }
    }
}
