/// How a sender decides how much may be in flight, and at which rate it sends (RFC 9002 §7). Each end of a connection
/// chooses for itself.
package enum CongestionControl: String, Sendable, CaseIterable {
    /// BBR version 3 (draft-ietf-ccwg-bbr): by the bandwidth and the round-trip time that it measures. A lost packet alone is
    /// no reason to slow down.
    case bbr
    /// CUBIC (RFC 9438): by loss.
    case cubic
}
