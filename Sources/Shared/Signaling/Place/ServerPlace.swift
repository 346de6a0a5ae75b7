package import TLS

/// Where the server is, as a person has said it.
package enum ServerPlace: Sendable, Hashable, CustomStringConvertible {
    case url(ServerURL)
    case link(ServerLink)

    /// What a person may see of it.
    package var description: String {
        switch self {
        case .url(let url): "\(url)"
        case .link(let link): "\(link)"
        }
    }

    /// Where to try to reach it, most wanted first; at least one.
    package var endpoints: [ServerURL] {
        switch self {
        case .url(let url): [url]
        case .link(let link): link.endpoints
        }
    }

    /// A name, or an IP address without brackets.
    package var host: String { self.endpoints[0].host }
    package var port: UInt16 { self.endpoints[0].port }

    /// What the server's key is known by; nil: by what authorities say.
    package var pin: PublicKeyPin? {
        if case .link(let link) = self { link.pin } else { nil }
    }

    /// The name that authorities have to vouch for.
    var certificateName: String {
        switch self {
        case .url(let url): url.host
        case .link(let link): link.certificateName
        }
    }

    /// Whether nothing protects the connection.
    var isPlain: Bool {
        if case .url(let url) = self { url.scheme == .http } else { false }
    }
}
