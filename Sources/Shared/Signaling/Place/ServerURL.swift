package import AppProto
import Basics
import NIOCore

/// Where the server is, and how to talk to it: `https://host[:port][/prefix]`, `http://…` or `quic://host[:port]`.
package struct ServerURL: Sendable, Hashable {
    /// The transport of the control connection.
    package enum Scheme: String, Sendable, Hashable, CaseIterable {
        /// WebSocket over TLS.
        case https
        /// WebSocket in the clear, for a server behind a TLS-terminating proxy or on the same machine.
        case http
        /// QUIC, ALPN `rtun/1`.
        case quic

        /// The port meant when the URL names none.
        package var defaultPort: UInt16 {
            switch self {
            case .https, .quic: 443
            case .http: 80
            }
        }
    }

    /// The transport.
    package let scheme: Scheme
    /// A name, or an IP address without brackets.
    package let host: String
    /// 1…65535.
    package let port: UInt16
    /// What precedes `/pub/ws` and `/sub/ws`: empty, or `/…` without a slash at the end. Always empty for `quic`.
    package let prefix: String

    /// Parses and checks a URL; the error says which part is wrong and what would be right.
    package init(parsing text: String) throws(ServerURLError) {
        var parser = ServerURLParser(text)
        self = try parser.parse()
    }

    init(scheme: Scheme, host: String, port: UInt16, prefix: String) {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.prefix = prefix
    }

    /// Whether `host` is an IPv6 address, which needs brackets in front of a port.
    var hostIsIPv6: Bool {
        self.host.utf8.contains(UInt8(ascii: ":"))
    }

    /// Whether the host is this machine, as far as its text tells: `localhost` (RFC 6761 §6.3) or a loopback address.
    var hostIsLoopback: Bool {
        let host = self.host.lowercased()
        if host == "localhost" || host.hasSuffix(".localhost") { return true }
        return (try? SocketAddress(ipAddress: host, port: 0))?.isLoopback ?? false
    }

    /// `host:port`, brackets around an IPv6 address. What `Host:` carries and what messages name.
    package var authority: String {
        hostWithPort(self.host, self.port)
    }

    /// The path that a WebSocket of this role is opened on.
    package func webSocketPath(for role: Role) -> String {
        switch role {
        case .agent: self.prefix + "/pub/ws"
        default: self.prefix + "/sub/ws"
        }
    }
}

extension ServerURL: CustomStringConvertible {
    package var description: String {
        "\(self.scheme.rawValue)://\(self.authority)\(self.prefix)"
    }
}
