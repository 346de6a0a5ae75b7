/// Why a client was turned away during the handshake.
package enum SOCKSViolation: Error, Hashable, Sendable {
    /// The first byte is neither 4 nor 5.
    case unknownVersion(UInt8)
    /// The client offers no method that this proxy accepts (RFC 1928 §3), or a SOCKS 4 client came where a
    /// password is required: SOCKS 4 has none.
    case noAcceptableMethod
    case wrongPassword(user: String)
    /// BIND, or a command that doesn't exist.
    case unsupportedCommand(UInt8)
    case unsupportedAddressType(UInt8)
    /// The name is no name, or the port is 0.
    case invalidTarget
    /// A message that breaks its own format.
    case malformed(Part)

    /// What the malformed message was.
    package enum Part: Hashable, Sendable {
        /// RFC 1929 §2: the version of the subnegotiation isn't 1.
        case passwordRequest
        /// RFC 1928 §4: the version isn't 5 again.
        case request
        /// The user id or the name of a SOCKS 4 request has no end within 255 bytes.
        case socks4Request
    }
}

extension SOCKSViolation: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknownVersion(let version): "not SOCKS 4 or 5: the first byte is \(version)"
        case .noAcceptableMethod: "no authentication method that both sides accept"
        case .wrongPassword(let user): "wrong user or password (user \(String(reflecting: user)))"
        case .unsupportedCommand(let command): "command \(command) is not supported"
        case .unsupportedAddressType(let type): "address type \(type) is not supported"
        case .invalidTarget: "the target's name or port is not valid"
        case .malformed(.passwordRequest): "malformed user/password request"
        case .malformed(.request): "malformed SOCKS 5 request"
        case .malformed(.socks4Request): "malformed SOCKS 4 request"
        }
    }
}
