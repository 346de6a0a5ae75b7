package import CommandSupport
package import Signaling

extension ServerConnectionOptions {
    /// How to reach the server and prove the secret; derives its key, which takes some 100 ms and 32 MiB while it runs. Throws
    /// a `ServerURLError` or `TLSError`.
    ///
    /// - Parameters:
    ///   - program: its name, such as `rtun-socks`.
    ///   - congestion: for what goes to a `quic://` server.
    package func configuration(
        role: SignalClientConfiguration.Role, secret: Secret, program: String, congestion: CongestionChoice
    ) throws -> SignalClientConfiguration {
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: self.url), role: role, key: try SharedKey(secret: secret.bytes),
            software: Software.identifier(program))
        configuration.certificateAuthorityFile = self.caCertificate
        configuration.httpsInsecure = self.httpsInsecure
        configuration.quicInsecure = self.quicInsecure
        configuration.congestionControl = congestion.configurationValue
        return configuration
    }

    /// For `--check-config`: throws what a start would throw for the URL, the secret and the file of authorities.
    package func check(
        role: SignalClientConfiguration.Role, secret: Secret, program: String, congestion: CongestionChoice
    ) throws {
        let configuration = try self.configuration(
            role: role, secret: secret, program: program, congestion: congestion)
        do {
            try configuration.check()
        } catch {
            let place = self.caCertificate.map { _ in "--ca-cert: " } ?? ""
            throw ProgramError(.unavailable, "\(place)\(error)")
        }
    }
}
