import NIOCore

extension ChannelOption where Self == ChannelOptions.Types.SocketOption {
    /// Keeps an IPv6 wildcard socket from taking IPv4 as well (RFC 3493 §5.3): that family has its own socket.
    static var ipv6Only: Self { Self(level: .ipv6, name: .ipv6_v6only) }
}
