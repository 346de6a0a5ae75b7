package import NIOCore
package import QUIC
package import TLS

/// What a control connection is opened with.
package struct SignalClientConfiguration: Sendable {
    /// What this process is to the server.
    package enum Role: Sendable {
        /// An egress. `expireIn` is the length of the registration, counted from the first time the server takes it; nil: no end.
        case agent(name: String, expireIn: TimeAmount?, labels: [String: String])
        /// A user of agents.
        case client

        /// Empty for a client.
        var agentName: String {
            if case .agent(let name, _, _) = self { name } else { "" }
        }

        /// Nil for a client, and without an end.
        var expireIn: TimeAmount? {
            if case .agent(_, let expireIn, _) = self { expireIn } else { nil }
        }
    }

    /// Where the server is.
    package var url: ServerURL
    /// What this process is to the server.
    package var role: Role
    /// The key of the shared secret.
    package var key: SharedKey
    /// The key that this process proves beside it, the one of its peer channels; nil: none, as programs before 0.13 did.
    package var identity: ProcessIdentity?
    /// For the server to tell this process from others of its name.
    let process = ProcessRun()
    /// Name and version of the program, `rtun-agent/0.1.0`.
    package var software: String
    /// A PEM file of authorities to trust; nil: the system's.
    package var certificateAuthorityFile: String?
    /// Accept any certificate of an `https` server; the handshake is bound to the connection instead.
    package var httpsInsecure = false
    /// Accept any certificate of a `quic` server; the handshake is bound to the connection instead.
    package var quicInsecure = false
    /// How this side decides how much it sends to a `quic` server, and how fast. Over TCP that is the kernel's business.
    package var congestionControl = CongestionControl.bbr

    package init(url: ServerURL, role: Role, key: SharedKey, identity: ProcessIdentity? = nil, software: String) {
        self.url = url
        self.role = role
        self.key = key
        self.identity = identity
        self.software = software
    }

    /// What a person had better know about these settings, whatever comes of the connection.
    package var warnings: [String] {
        var warnings: [String] = []
        if self.url.scheme == .http, !self.url.hostIsLoopback {
            warnings.append(
                """
                http:// does not protect the control connection: others on the way can read and change it; put a proxy that \
                terminates TLS in front of rtun-server and use its https:// URL
                """)
        }
        if self.httpsInsecure, self.url.scheme != .https {
            warnings.append("--https-insecure has no effect on \(self.url.scheme.rawValue):// URLs")
        }
        if self.quicInsecure, self.url.scheme != .quic {
            warnings.append("--quic-insecure has no effect on \(self.url.scheme.rawValue):// URLs")
        }
        return warnings
    }

    /// Whether the server's certificate goes unchecked.
    package var isInsecure: Bool {
        switch self.url.scheme {
        case .https: self.httpsInsecure
        case .quic: self.quicInsecure
        case .http: false
        }
    }
}
