import LibC

/// The two kinds of address that a name may have.
enum AddressFamily: CaseIterable {
    /// A records (RFC 1035).
    case v4
    /// AAAA records (RFC 3596).
    case v6

    /// The system's number.
    var rawFamily: CInt { self == .v4 ? AF_INET : AF_INET6 }
}
