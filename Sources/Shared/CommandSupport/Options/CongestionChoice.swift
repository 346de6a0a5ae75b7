internal import ArgumentParser

/// What `--congestion` takes: how a program decides how fast it sends what goes over QUIC.
package enum CongestionChoice: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// By the bandwidth and the round-trip time that it measures.
    case bbr
    /// By loss, as TCP does on most machines.
    case cubic
}
