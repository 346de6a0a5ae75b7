internal import CNgtcp2
import Crypto
package import TLS

/// What all connections made from one configuration share: credentials, the trust store and the keys of tokens.
///
/// Making one reads the trust store and parses keys; make it once, not per connection.
package final class QUICContext: Sendable {
    /// Which end of a connection.
    package enum Role: Sendable {
        case client
        case server
    }

    package let role: Role
    package let configuration: QUICConfiguration
    let credentials: GnuTLSCredentials
    /// Secret of stateless reset tokens (RFC 9000 §10.3.2).
    let statelessResetKey: [UInt8]
    /// Secret of Retry tokens (RFC 9000 §8.1.2).
    let retryTokenKey: [UInt8]

    /// Throws `.configuration` for a value out of range, `.credentials` when certificate, key or trust store are of
    /// no use.
    package convenience init(role: Role, configuration: QUICConfiguration) throws(QUICError) {
        try self.init(
            role: role, configuration: configuration,
            statelessResetKey: configuration.statelessResetKey ?? SecureRandom.bytes(32),
            retryTokenKey: SecureRandom.bytes(32))
    }

    private init(
        role: Role, configuration: QUICConfiguration, statelessResetKey: [UInt8], retryTokenKey: [UInt8]
    ) throws(QUICError) {
        try configuration.validate(for: role)
        self.role = role
        self.configuration = configuration
        self.credentials = try GnuTLSCredentials(role: role, configuration: configuration)
        self.statelessResetKey = statelessResetKey
        self.retryTokenKey = retryTokenKey
    }

    /// The same context with another certificate; the secrets stay, so that tokens given out keep working.
    package func replacing(identity: Identity) throws(QUICError) -> QUICContext {
        var configuration = self.configuration
        configuration.identity = identity
        return try QUICContext(
            role: self.role, configuration: configuration, statelessResetKey: self.statelessResetKey,
            retryTokenKey: self.retryTokenKey)
    }
}
