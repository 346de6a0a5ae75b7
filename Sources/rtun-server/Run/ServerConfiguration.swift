import CommandSupport
import Logging
import NIOCore
import QUIC
import Signaling

/// All that a server is started with.
struct ServerConfiguration: Sendable {
    var address: ListenAddress
    /// `nil`: plain HTTP.
    var certificate: CertificateFiles?
    /// What QUIC is served with where `certificate` is `nil`; `nil`: a certificate made at the start.
    var quicCertificate: CertificateFiles?
    /// What peers have to know one of.
    var secrets: AcceptedSecrets
    /// The file that they come from, when it is to be watched.
    var watchedSecrets: WatchedSecrets?
    /// Who gets in and may use what; `nil`: who knows a secret, everything.
    var authorizedKeys: AuthorizedKeysFile?
    /// What the server signs and derives with; `nil`: a key that comes of the first secret.
    var ownKey: ServerKey?
    /// Whose `X-Forwarded-For` is believed.
    var trustedProxies = TrustedProxies()
    /// Where STUN is answered besides `address`.
    var stun = STUNSettings()
    var limits = ServerLimits()
    /// What is carried between peers that find no direct path; nil: nothing.
    var bridge: BridgeScheduler.Limits? = BridgeScheduler.Limits()
    /// How the server decides how much it sends over QUIC, and how fast.
    var congestionControl = CongestionControl.bbr
    /// How often statistics are written to the log; nil: only when asked for.
    var statisticsInterval: TimeAmount?
    var logger: Logger
}

extension ServerConfiguration {
    /// Whether there are files that may be read again.
    var watchesFiles: Bool {
        self.servedCertificate != nil || self.watchedSecrets != nil || self.authorizedKeys != nil
    }

    /// The certificate files that there are to watch.
    var servedCertificate: CertificateFiles? { self.certificate ?? self.quicCertificate }
}
