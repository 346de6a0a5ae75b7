package import CommandSupport
package import PeerChannel
import TLS

extension PeerOptions {
    /// What a client's peer channels have in common; makes the certificate that agents pin. Throws a `TLSError`.
    package func configuration(endToEndSecret: Secret?) throws -> PeerChannelConfiguration {
        var configuration = PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: "rtun client"))
        configuration.pathChoice = self.pathChoice.configurationValue
        configuration.spread = self.spread
        configuration.interfaces = self.interfaces
        configuration.stunServers = self.stunServers.map { .init(host: $0.host, port: $0.port) }
        configuration.e2eKey = try endToEndSecret.map { try EndToEndKey.derive(from: $0.bytes) }
        // Key derivation takes 32 MiB for a moment.
        Allocator.releaseFreeMemory()
        return configuration
    }
}

extension PeerOptions.PathChoice {
    fileprivate var configurationValue: PeerChannelConfiguration.PathChoice {
        switch self {
        case .auto: .auto
        case .direct: .direct
        case .bridge: .bridge
        }
    }
}
