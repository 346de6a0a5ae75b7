import NIOCore

/// Where the server answers STUN besides its own UDP port.
///
/// A peer learns from answers of a second port whether its NAT chooses a new mapping for every port, and from those of a
/// second address whether it does so for every address (RFC 5780 §4.3).
struct STUNSettings: Equatable, Sendable {
    /// `--stun-port`
    enum Port: Equatable, Sendable {
        /// The usual port where it is free; otherwise the server does without.
        case automatic
        /// This one, and no other; 0 takes a free one.
        case given(UInt16)
        /// None.
        case off
    }

    /// `--stun-addr`
    struct SecondAddress: Equatable, Sendable {
        /// An address of this host, port 0.
        let local: SocketAddress
        /// What peers are told, in network order: another one where a NAT in front of the host translates.
        let announced: [UInt8]
    }

    var port = Port.automatic
    var address: SecondAddress?

    /// STUN's own port (RFC 8489 §8.1): the one that firewalls which let UDP out at all are most likely to let
    /// through.
    static let usualPort = 3478

    /// The number that is tried; nil: there is no second port.
    ///
    /// - Parameters:
    ///   - main: the port of `--addr`.
    ///   - isFree: whether the system chose `main`. It chooses the second port too then.
    func portNumber(main: Int, isFree: Bool) -> Int? {
        switch self.port {
        case .automatic where isFree: 0
        case .automatic: main == Self.usualPort ? Self.usualPort + 1 : Self.usualPort
        case .given(let port): Int(port)
        case .off: nil
        }
    }
}
