package import AppProto
package import NIOCore

extension PeerChannelConfiguration.STUNServerAddress {
    /// Where the rtun server answers STUN: the UDP port of the number that the control connection reaches, then what the
    /// server announces. Each once.
    ///
    /// - Parameters:
    ///   - reached: the server's end of the control connection; nil when nobody knows.
    ///   - announced: `Welcome.stunServers`.
    package static func servers(reachedAt reached: SocketAddress?, announced: [StunServer]) -> [Self] {
        let host = reached?.ipAddress
        var servers: [Self] = []
        if let host, let port = reached?.packedPort {
            servers.append(Self(host: host, port: port))
        }
        for server in announced {
            let place = server.address.isEmpty ? host : Self.text(server.address)
            guard let place else { continue }
            let address = Self(host: place, port: server.port)
            if !servers.contains(address) { servers.append(address) }
        }
        return servers
    }

    /// 4 or 16 bytes as text; nil for any other number.
    private static func text(_ address: [UInt8]) -> String? {
        try? SocketAddress(packedIPAddress: ByteBuffer(bytes: address), port: 0).ipAddress
    }
}
