package import TLS

/// Why a control connection could not be opened. All of these may pass: the client tries again.
package enum SignalConnectError: Error, Sendable {
    /// One address and why it did not work.
    package struct Attempt: Sendable, Hashable {
        /// `ip:port`.
        package let address: String
        /// What the operating system or the peer said.
        package let reason: String
    }

    /// What was being waited for.
    package enum Phase: String, Sendable, Hashable {
        case connection = "a connection"
        case tls = "the TLS handshake"
        case upgrade = "the answer to the WebSocket upgrade"
        case handshake = "the server's part of the handshake"
    }

    /// The host name has no address.
    case unresolved(host: String, reason: String)
    /// No address answered.
    case unreachable([Attempt])
    /// The server was reached, but did not go on.
    case timedOut(Phase)
    /// The server's certificate is not accepted.
    case untrusted(CertificateRejection, scheme: ServerURL.Scheme)
    /// TLS, or QUIC's, failed for another reason than the certificate.
    case secureChannel(String)
    /// The port does not speak what the URL's scheme says; the first text tells how it shows, `url` what may be right.
    case wrongScheme(String, url: ServerURL)
    /// The server answered the WebSocket upgrade with another status than 101.
    case upgradeRefused(status: UInt, reason: String, path: String)
    /// Something answers there, but it does not speak rtun's protocol.
    case notAServer(String)
    /// The connection ended before the handshake was complete.
    case disconnected(String)
    /// The server sent us away for now.
    case turnedAway(String)

    /// Names the kind of failure: of one kind only the first is worth a warning.
    var cause: String {
        switch self {
        case .unresolved: "unresolved"
        case .unreachable(let attempts): "unreachable " + Set(attempts.map(\.reason)).sorted().joined(separator: ",")
        case .timedOut(let phase): "timed out \(phase)"
        case .untrusted(let rejection, _): "untrusted \(rejection)"
        case .secureChannel: "secure channel"
        case .wrongScheme(_, let url): "wrong scheme, not \(url.scheme)"
        case .upgradeRefused(let status, _, _): "upgrade \(status)"
        case .notAServer: "not a server"
        case .disconnected: "disconnected"
        case .turnedAway(let reason): "turned away \(reason)"
        }
    }

    /// In a few words, whether it is the network, the server, or what we think of it.
    package var verdict: String {
        switch self {
        case .unresolved, .unreachable, .timedOut(.connection): "the server cannot be reached"
        case .untrusted: "the server's certificate is not trusted"
        case .secureChannel, .wrongScheme: "the server was reached, but not with TLS, which the URL asks for"
        case .upgradeRefused, .notAServer: "what was reached is not rtun-server"
        case .timedOut, .disconnected: "the server was reached, but does not finish the handshake"
        case .turnedAway: "the server was reached, but turned us away"
        }
    }

    /// What a person can do about it; nil when waiting is all there is.
    package var advice: String? {
        switch self {
        case .unresolved:
            "check the host name in the URL"
        case .unreachable:
            "check that rtun-server runs there, and the port in the URL; quic:// needs a network that lets UDP through"
        case .disconnected, .turnedAway:
            nil
        case .timedOut(.connection):
            "check the address and port, and firewalls on the way"
        case .timedOut(.tls):
            "check that the port speaks https; a server without a certificate is reached with http://"
        case .timedOut(.upgrade), .timedOut(.handshake):
            "check that the port belongs to rtun-server"
        case .untrusted(let rejection, let scheme):
            Self.advice(on: rejection, scheme)
        case .secureChannel:
            "check that the scheme of the URL fits the port: https:// needs a server with a certificate, http:// one without"
        case .wrongScheme(_, let url) where url.scheme == .http:
            """
            try \(url) if that is meant to be a server without a certificate (nothing then protects the control connection), \
            or give rtun-server a certificate with --https-cert and --https-key
            """
        case .wrongScheme(_, let url):
            "try \(url)"
        case .upgradeRefused(400, _, _):
            "check that the URL leads to rtun-server; a port that speaks TLS answers http:// like this; if so, use https://"
        case .upgradeRefused(404, _, _):
            "check the path in the URL; behind a proxy it is the prefix that the proxy forwards to rtun-server"
        case .upgradeRefused(502...504, _, _):
            "the proxy in front does not reach rtun-server"
        case .upgradeRefused:
            "check that the URL leads to rtun-server, and that a proxy in front passes WebSocket upgrades on"
        case .notAServer:
            "check that the port belongs to rtun-server and that the scheme of the URL is right"
        }
    }

    private static func advice(on rejection: CertificateRejection, _ scheme: ServerURL.Scheme) -> String {
        if case .publicKeyMismatch = rejection.kind {
            return """
                either the server has another key now, and rtun-server --print-links there prints new links, or there is a man in \
                the middle
                """
        }
        let cure =
            switch rejection.kind {
            case .untrustedIssuer:
                "give the certificate of the authority that issued it, or the server's own if it is self-signed, with --ca-cert FILE"
            case .nameMismatch(let expected):
                "use a name in the URL that the certificate is for, or give the server a certificate for \(expected)"
            case .expired, .notYetValid:
                "renew the server's certificate, or set this machine's clock right"
            case .fingerprintMismatch, .publicKeyMismatch, .missing, .other:
                "give the server a valid certificate, and its authority's with --ca-cert FILE if that is a private one"
            }
        return """
            \(cure); or switch the check off with --\(scheme.rawValue)-insecure: the shared secret then still keeps others \
            out, as long as no proxy terminates TLS in front of rtun-server
            """
    }
}

extension SignalConnectError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unresolved(let host, let reason):
            "cannot find the address of \"\(host)\": \(reason)"
        case .unreachable(let attempts):
            attempts.map { "cannot connect to \($0.address): \($0.reason)" }.joined(separator: "; ")
        case .timedOut(let phase):
            "timed out waiting for \(phase.rawValue)"
        case .untrusted(let rejection, _):
            "the server's certificate is not trusted: \(rejection)"
        case .secureChannel(let detail), .wrongScheme(let detail, _):
            detail
        case .upgradeRefused(let status, let reason, let path):
            "the server answered \(status)\(reason.isEmpty ? "" : " " + reason) to the WebSocket upgrade on \(path), not 101"
        case .notAServer(let detail):
            "what answers is not rtun-server: \(detail)"
        case .disconnected(let detail):
            "the connection ended before the handshake was complete: \(detail)"
        case .turnedAway(let reason):
            "the server turned us away: \(reason)"
        }
    }
}
