/// What is wrong with ICE parameters that came from outside.
package enum ICEError: Error, Hashable, Sendable {
    /// A username fragment has 4 to 256 characters out of A-Z a-z 0-9 + / (RFC 8839 §5.4).
    case invalidUsernameFragment
    /// A password has 22 to 256 characters out of A-Z a-z 0-9 + /.
    case invalidPassword
}

extension ICEError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .invalidUsernameFragment: "ICE ufrag must have 4 to 256 characters out of A-Z a-z 0-9 + /"
        case .invalidPassword: "ICE pwd must have 22 to 256 characters out of A-Z a-z 0-9 + /"
        }
    }
}
