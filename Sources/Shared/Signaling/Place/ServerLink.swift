package import AppProto
import Basics
package import TLS

/// All that a program needs to join a server, in one word: `rtun://host:port/?transports=…&pin=…&role=…&length=…#secret`.
///
/// The secret stands behind `#`, each byte that is no letter, digit, `-`, `.`, `_` or `~` as `%` and two hex digits. Of the
/// parts in front of it each may be left out:
///
/// | part | meaning |
/// |---|---|
/// | `transports` | how the server is reached, most wanted first: `quic`, `https`; without: both |
/// | `pin` | hash of the server's public key (``PublicKeyPin``), base64url; without: authorities vouch for the certificate |
/// | `name` | what the certificate is issued for, where that is not the host |
/// | `role` | whose secret it is: `agent` or `client`; without: anybody's |
/// | `length` | the secret's length in bytes, so that a link which was cut shows |
///
/// Parts with other names are for versions to come.
package struct ServerLink: Sendable, Hashable {
    /// Reached as ``endpoints`` say.
    package let host: String
    /// 1…65535, the same for TCP and UDP.
    package let port: UInt16
    /// Most wanted first; at least one, of `quic` and `https`.
    package let transports: [ServerURL.Scheme]
    package let pin: PublicKeyPin?
    /// What an authority vouches for, where that is not `host`.
    package let name: String?
    package let role: Role?
    /// At least one byte.
    package let secret: [UInt8]

    package init(
        host: String, port: UInt16, transports: [ServerURL.Scheme] = [.quic, .https], pin: PublicKeyPin? = nil,
        name: String? = nil, role: Role? = nil, secret: [UInt8]
    ) {
        self.host = host
        self.port = port
        self.transports = transports
        self.pin = pin
        self.name = name
        self.role = role
        self.secret = secret
    }

    /// Parses and checks a link; the error says what is wrong with it, and shows nothing of the secret.
    package init(parsing text: String) throws(ServerLinkError) {
        let parser = ServerLinkParser(text)
        self = try parser.parse()
    }

    /// Whether `text` is meant to be a link, right or wrong.
    package static func isMeant(by text: String) -> Bool {
        text.utf8.prefix(5).elementsEqual("rtun:".utf8) { $0 | 0x20 == $1 }
    }

    /// Where to try to reach the server, most wanted first.
    package var endpoints: [ServerURL] {
        self.transports.map { ServerURL(scheme: $0, host: self.host, port: self.port, prefix: "") }
    }

    /// The name that an authority has to vouch for.
    package var certificateName: String { self.name ?? self.host }

    /// The whole link. Nobody else may see it.
    package var text: String {
        var query = ["transports=\(self.transports.map(\.rawValue).joined(separator: ","))"]
        if let pin { query.append("pin=\(pin)") }
        if let name { query.append("name=\(Self.escaped(Array(name.utf8)))") }
        if let role { query.append("role=\(role == .agent ? "agent" : "client")") }
        query.append("length=\(self.secret.count)")
        return "\(self.description)/?\(query.joined(separator: "&"))#\(Self.escaped(self.secret))"
    }

    /// All but what RFC 3986 §2.3 calls unreserved: a shell, a quotation mark or a line end finds nothing to take.
    private static func escaped(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            let isPlain = byte.isLetter || byte.isDigit || "-._~".utf8.contains(byte)
            text += isPlain ? [byte] : Array("%\(Hex.text([byte]).uppercased())".utf8)
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension ServerLink: CustomStringConvertible, CustomReflectable {
    /// Where it leads, and nothing else.
    package var description: String { "rtun://\(hostWithPort(self.host, self.port))" }

    /// Without children, so that a dump does not show the secret.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
