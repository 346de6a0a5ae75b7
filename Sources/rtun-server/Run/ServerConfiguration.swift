import CommandSupport
import Logging
import Signaling

/// All that a server is started with.
struct ServerConfiguration: Sendable {
    var address: HostPort
    /// `nil`: plain HTTP, and QUIC with a certificate made at the start.
    var certificate: CertificateFiles?
    var key: SharedKey
    /// Where STUN is answered besides `address`.
    var stun = STUNSettings()
    var limits = ServerLimits()
    var logger: Logger
}
