/// Sizes beyond which a message is refused when it is decoded.
package enum AppProtoLimits {
    /// Longest serialised `Envelope`, in bytes (docs: signalling, records of at most 256 KiB).
    package static let envelope = 256 * 1024
    /// Longest agent name, host or software string, in bytes of UTF-8.
    package static let name = 255
    /// Longest human-readable reason kept, in bytes of UTF-8; a longer one is cut.
    package static let reason = 1024
    /// Most labels on one agent.
    package static let labels = 64
    /// Longest label value, in bytes of UTF-8.
    package static let labelValue = 255
    /// Most candidates in one offer or answer.
    package static let candidates = 64
    /// Most addresses at which a server may answer STUN.
    package static let stunServers = 8
    /// Longest `Bridge.datagrams`, in bytes: as much as one UDP datagram of IPv4 carries.
    package static let bridgeDatagrams = 65_507
    /// Longest place in a list at which it goes on, in bytes.
    package static let cursor = 512
    /// Longest resume token, in bytes.
    package static let resumeToken = 1024
    /// Longest certificate that a process proves its key with, in bytes of DER.
    package static let certificate = 2048
    /// Longest signature of a P-256 key, in bytes: two numbers of 33 bytes at most, and what DER puts around them.
    package static let signature = 72
    /// Length of the nonce that an agent's process makes at its start, in bytes.
    package static let processNonce = 16
    /// Most protocol versions or binding types a server may offer.
    package static let offers = 64
}
