import CommandSupport
import Logging
import NIOCore
import QUIC
import Signaling

/// All that a server is started with.
struct ServerConfiguration: Sendable {
    var address: ListenAddress
    /// `nil`: plain HTTP, and QUIC with a certificate made at the start.
    var certificate: CertificateFiles?
    var key: SharedKey
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
