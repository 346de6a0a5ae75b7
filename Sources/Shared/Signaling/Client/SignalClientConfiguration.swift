import AppProto
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

        /// The same in messages.
        var inMessages: AppProto.Role {
            if case .agent = self { .agent } else { .client }
        }

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
    package var server: ServerPlace
    /// What this process is to the server.
    package var role: Role
    /// The key of the shared secret.
    package var key: SharedKey
    /// The key that this process proves beside it, the one of its peer channels; nil: none, as programs before 0.13 did.
    package var identity: ProcessIdentity?
    /// For the server to tell this process from others of its name.
    let process = ProcessRun()
    /// Looks for the secret where it was found at start, when the server refuses the key: brings the key that it makes now, nil
    /// when it cannot be had, on the event loop. nil: it was not in a file.
    package var currentKey: (@Sendable (any EventLoop) -> EventLoopFuture<SharedKey?>)?
    /// Whether the secret is so short that it can be guessed.
    package var hasShortSecret = false
    /// The name of the agent of which a client only looks whether it would get in, so that an agent's secret and key are good
    /// enough; nil: it is no such client.
    package var checkedAgent: String?
    /// Name and version of the program, `rtun-agent/0.1.0`.
    package var software: String
    /// A PEM file of authorities to trust; nil: the system's.
    package var certificateAuthorityFile: String?
    /// Accept any certificate of an `https` URL's server; the handshake is bound to the connection instead.
    package var httpsInsecure = false
    /// Accept any certificate of a `quic` URL's server; the handshake is bound to the connection instead.
    package var quicInsecure = false
    /// How this side decides how much it sends to a `quic` server, and how fast. Over TCP that is the kernel's business.
    package var congestionControl = CongestionControl.bbr

    package init(url: ServerURL, role: Role, key: SharedKey, identity: ProcessIdentity? = nil, software: String) {
        self.init(server: .url(url), role: role, key: key, identity: identity, software: software)
    }

    package init(server: ServerPlace, role: Role, key: SharedKey, identity: ProcessIdentity? = nil, software: String) {
        self.server = server
        self.role = role
        self.key = key
        self.identity = identity
        self.software = software
    }

    /// What a person had better know about these settings, whatever comes of the connection.
    package var warnings: [String] {
        var warnings: [String] = []
        if self.server.isPlain, !self.server.endpoints[0].hostIsLoopback {
            warnings.append(
                """
                http:// does not protect the control connection: others on the way can read and change it; put a proxy that \
                terminates TLS in front of rtun-server and use its https:// URL
                """)
        }
        if self.hasShortSecret {
            let danger =
                self.isInsecure || self.server.isPlain
                ? """
                ! The server's certificate is not checked: whoever sits on the way can guess the secret from one handshake, \
                and is in
                """ : ""
            warnings.append(
                "the secret has fewer than 16 bytes, which can be guessed; make one with \"openssl rand -hex 32\"\(danger)"
            )
        }
        return warnings + self.idleOptions.map { "\($0.option) has no effect on \($0.on)" }
    }

    /// The options that change nothing, and on what.
    private var idleOptions: [(option: String, on: String)] {
        switch self.server {
        case .link(let link):
            var idle = [("--https-insecure", self.httpsInsecure), ("--quic-insecure", self.quicInsecure)]
            if link.pin != nil { idle.append(("--ca-cert", self.certificateAuthorityFile != nil)) }
            let place = link.pin == nil ? "a link" : "a link that pins the server's key"
            return idle.filter { $0.1 }.map { ($0.0, place) }
        case .url(let url):
            let idle = [
                ("--https-insecure", self.httpsInsecure && url.scheme != .https),
                ("--quic-insecure", self.quicInsecure && url.scheme != .quic),
            ]
            return idle.filter { $0.1 }.map { ($0.0, "\(url.scheme.rawValue):// URLs") }
        }
    }

    /// What has to stand in the server's `--authorized-keys`.
    var lineOfKey: String {
        let key = self.identity.map { "\($0.fingerprint)" } ?? "SHA256:..."
        let agent: String? = if case .agent(let name, _, _) = self.role { name } else { self.checkedAgent }
        return agent.map { "agent \($0) \(key)" } ?? "client \(key)"
    }

    /// Whether the server's certificate goes unchecked.
    package var isInsecure: Bool {
        guard case .url(let url) = self.server else { return false }
        return switch url.scheme {
        case .https: self.httpsInsecure
        case .quic: self.quicInsecure
        case .http: false
        }
    }
}
