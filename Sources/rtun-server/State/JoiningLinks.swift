import AppProto
import Basics
import CommandSupport
import Signaling
import TLS

/// What is to be pasted on other machines so that they join: a command line for each program.
struct JoiningLinks {
    private static let programs: [(name: String, role: SecretFile.Role)] = [
        ("rtun-agent", .agent), ("rtun-socks", .client), ("rtun-relay", .client),
    ]

    /// Where the server is for others.
    let host: String
    let port: UInt16
    /// Whether TCP is for https, and not for plain HTTP behind a proxy.
    let hasHTTPS: Bool
    let certificate: Identity
    /// The secret of a role; nil when it has none.
    let secret: (SecretFile.Role) -> (secret: Secret, isForRoleOnly: Bool)?

    /// A line for each program that has a secret: `rtun-agent 'rtun://…'`.
    var lines: [String] {
        Self.programs.compactMap { name, role in
            self.secret(role).map { secret, isForRoleOnly in
                "\(name) '\(self.link(secret, isForRoleOnly ? role : nil).text)'"
            }
        }
    }

    private func link(_ secret: Secret, _ role: SecretFile.Role?) -> ServerLink {
        // An authority vouches for other certificates, and its next one may be for another key.
        let isPinned = self.certificate.isSelfSigned
        let isCovered = isPinned || self.certificate.isIssued(for: self.host)
        return ServerLink(
            host: self.host, port: self.port, transports: self.hasHTTPS ? [.quic, .https] : [.quic],
            pin: isPinned ? self.certificate.publicKeyPin : nil,
            name: isCovered ? nil : self.certificate.dnsNames.first, role: role?.inMessages, secret: secret.bytes)
    }
}
