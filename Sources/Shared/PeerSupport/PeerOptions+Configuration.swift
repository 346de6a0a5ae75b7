package import CommandSupport
package import PeerChannel
import PeerPath
import TLS

extension PeerOptions {
    /// What the peer channels of a process have in common; makes the certificate that the other sides pin. Throws a
    /// `TLSError`.
    ///
    /// - Parameter commonName: of that certificate, for people who look at one.
    package func configuration(commonName: String, endToEndSecret: Secret?) throws -> PeerChannelConfiguration {
        var configuration = PeerChannelConfiguration(identity: try Identity.selfSigned(commonName: commonName))
        configuration.pathChoice = self.pathChoice.configurationValue
        configuration.spread = self.spread
        configuration.interfaces = self.interfaces
        configuration.stunServers = self.stunServerAddresses
        configuration.congestionControl = self.congestion.configurationValue
        configuration.e2eKey = try endToEndSecret.map { try EndToEndKey.derive(from: $0.bytes) }
        // Key derivation takes 32 MiB for a moment.
        Allocator.releaseFreeMemory()
        return configuration
    }

    /// Each `--stun`.
    package var stunServerAddresses: [PeerChannelConfiguration.STUNServerAddress] {
        self.stunServers.map { .init(host: $0.host, port: $0.port) }
    }
}

extension PeerOptions.PathChoice {
    fileprivate var configurationValue: PathChoice {
        switch self {
        case .auto: .auto
        case .direct: .direct
        case .bridge: .bridge
        }
    }
}
