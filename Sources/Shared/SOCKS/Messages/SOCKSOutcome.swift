package import NIOCore

/// How an attempt to reach a target ended, in terms that both SOCKS versions can express.
package enum SOCKSOutcome: Hashable, Sendable {
    /// The connection stands. `bound`: the address that the target sees, where known; of a UDP association, where its
    /// client sends to.
    case connected(bound: SocketAddress?)
    /// The target answered with a reset.
    case refused
    case hostUnreachable
    case networkUnreachable
    case nameNotFound
    case timedOut
    /// The egress policy forbids the target.
    case policy
    /// There is nobody who does what the command says.
    case unsupported
    /// Anything else.
    case failed
}

/// Reply codes of SOCKS 5 (RFC 1928 §6).
package enum SOCKS5Reply: UInt8, Sendable {
    case succeeded = 0x00
    case generalFailure = 0x01
    case notAllowedByRuleset = 0x02
    case networkUnreachable = 0x03
    case hostUnreachable = 0x04
    case connectionRefused = 0x05
    case ttlExpired = 0x06
    case commandNotSupported = 0x07
    case addressTypeNotSupported = 0x08

    /// The code that tells a client of `outcome`. RFC 1928 has none for an unknown name or a timeout: clients read 04 as
    /// "that host can't be had", and 06 is what other proxies answer when a dial times out.
    package init(_ outcome: SOCKSOutcome) {
        self =
            switch outcome {
            case .connected: .succeeded
            case .refused: .connectionRefused
            case .hostUnreachable, .nameNotFound: .hostUnreachable
            case .networkUnreachable: .networkUnreachable
            case .timedOut: .ttlExpired
            case .policy: .notAllowedByRuleset
            case .unsupported: .commandNotSupported
            case .failed: .generalFailure
            }
    }
}

/// Reply codes of SOCKS 4 and 4a. 92 and 93 speak of identd, which nothing here asks.
package enum SOCKS4Reply: UInt8, Sendable {
    case granted = 90
    case rejected = 91

    /// SOCKS 4 has one code for every kind of failure.
    package init(_ outcome: SOCKSOutcome) {
        if case .connected = outcome { self = .granted } else { self = .rejected }
    }
}
