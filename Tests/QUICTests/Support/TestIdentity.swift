import TLS

@testable import QUIC

/// Certificates made once: making one takes a while.
enum TestIdentity {
    static let server = make("server", names: ["localhost", "127.0.0.1"])
    static let client = make("client")
    static let stranger = make("stranger")

    private static func make(_ name: String, names: [String] = []) -> Identity {
        do {
            return try Identity.selfSigned(commonName: name, alternativeNames: names)
        } catch {
            preconditionFailure("cannot make a certificate: \(error)")
        }
    }
}

extension QUICConfiguration {
    /// Both ends of a tunnel that pin each other.
    static func pinned(_ identity: Identity, peer: Identity) -> QUICConfiguration {
        QUICConfiguration(
            applicationProtocol: "test/1", identity: identity, verification: .fingerprint(peer.leafFingerprint))
    }

    static let pinnedClient = pinned(TestIdentity.client, peer: TestIdentity.server)
    static let pinnedServer = pinned(TestIdentity.server, peer: TestIdentity.client)
}
