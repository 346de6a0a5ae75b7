package import NIOCore

/// Whom shares go to: an IPv4 address, or the /64 that one host or site has of IPv6 (RFC 4291 §2.5.4).
package struct SourceNetwork: Hashable, Sendable {
    private let block: AddressBlock?

    /// The network that `address` is in; all that are none of the internet's are in one.
    package init(_ address: SocketAddress) {
        let canonical = IPAddress(address)?.canonical
        self.block = canonical.flatMap { AddressBlock($0, prefixLength: $0.family == .v4 ? 32 : 64) }
    }
}
