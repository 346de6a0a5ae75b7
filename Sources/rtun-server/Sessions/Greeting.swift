import AppProto
import CommandSupport

/// What the server tells each peer that has proved the secret.
struct Greeting {
    /// What an agent is registered as.
    struct Registration {
        let instanceID: InstanceID
        let name: String
        let expireAtMilliseconds: UInt64
        /// Sealed.
        let resumeToken: [UInt8]
    }

    let software: String
    let bridges: Bool
    /// Where peers are told to ask for their outside address, besides the UDP port of the control connection's number.
    /// Set when the server listens there, which is long before the first handshake can be over.
    var stunServers: [StunServer] = []

    /// - Parameters:
    ///   - address: where the peer comes from, as it is told.
    ///   - registration: nil for a client.
    func welcome(from address: String, as registration: Registration? = nil) -> Welcome {
        Welcome(
            instanceID: registration?.instanceID, agentName: registration?.name ?? "",
            expireAtMilliseconds: registration?.expireAtMilliseconds ?? 0, resumeToken: registration?.resumeToken ?? [],
            observedAddress: address, software: self.software, bridge: self.bridges, stunServers: self.stunServers,
            timeMilliseconds: UnixTime.milliseconds)
    }
}
