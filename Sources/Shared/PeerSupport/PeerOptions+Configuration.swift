package import CommandSupport
package import PeerChannel
import PeerPath
package import TLS

extension PeerOptions {
    /// What the peer channels of a process have in common. Throws a `CryptoError`.
    ///
    /// - Parameter identity: whose certificate the other sides pin.
    package func configuration(identity: ProcessIdentity, endToEndSecret: Secret?) throws -> PeerChannelConfiguration {
        var configuration = PeerChannelConfiguration(identity: identity.identity)
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
