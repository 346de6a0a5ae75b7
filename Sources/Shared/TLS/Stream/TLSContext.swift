internal import COpenSSL

/// What many TLS connections share: role, certificate, trust and protocol options. TLS 1.2 and 1.3 only.
///
/// A context does not change. To present another certificate, make a new context for the connections to come; those
/// that exist keep theirs.
package final class TLSContext: Sendable {
    let openSSL: OpenSSLContext

    /// The role that connections of this context play.
    package var role: TLSRole { self.openSSL.role }

    private init(_ openSSL: OpenSSLContext) {
        self.openSSL = openSSL
    }

    /// A context for accepting connections.
    ///
    /// - Parameters:
    ///   - identity: the certificate to present.
    ///   - verification: what clients must present; usually nothing. Authorities are not supported here.
    ///   - applicationProtocols: ALPN names, most wanted first. A client that offers ALPN without any of them is refused.
    /// - Throws: ``TLSError/operationFailed(_:_:)``.
    package static func server(
        identity: Identity, verification: PeerVerification = .notRequested,
        applicationProtocols: [String] = ["http/1.1"]
    ) throws(TLSError) -> TLSContext {
        if case .certificateAuthorities = verification {
            preconditionFailure("a server checks client certificates by fingerprint only")
        }
        return try Self(role: .server, verification, identity, applicationProtocols)
    }

    /// A context for making connections.
    ///
    /// - Parameters:
    ///   - verification: what the server must present; not `.notRequested`.
    ///   - identity: the certificate to present when the server asks for one.
    ///   - applicationProtocols: ALPN names to offer, most wanted first.
    /// - Throws: a ``TLSError`` that names the authorities' file if it cannot be used.
    package static func client(
        verification: PeerVerification, identity: Identity? = nil, applicationProtocols: [String] = ["http/1.1"]
    ) throws(TLSError) -> TLSContext {
        try Self(role: .client, verification, identity, applicationProtocols)
    }

    private convenience init(
        role: TLSRole, _ verification: PeerVerification, _ identity: Identity?, _ applicationProtocols: [String]
    ) throws(TLSError) {
        self.init(
            try OpenSSLContext(
                method: TLS_method(),
                OpenSSLContext.Configuration(
                    role: role, verification: verification, identity: identity,
                    applicationProtocols: applicationProtocols,
                    versions: (minimum: TLS1_2_VERSION, maximum: 0),
                    cipherSuites: "ECDHE+AESGCM:ECDHE+CHACHA20",
                    // The server keeps many connections that say little.
                    releasesBuffers: true)))
    }
}
