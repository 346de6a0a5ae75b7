package import ArgumentParser
package import CommandSupport
package import HostNetwork
package import Logging
package import NIOCore
package import Signaling
package import TLS

extension ServerConnectionOptions {
    /// The control connection that a program keeps to the server; connects to nothing yet. Derives the key of the secret, which
    /// takes some 100 ms and 32 MiB while it runs. Throws a `ProgramError` or `ServerURLError`.
    ///
    /// - Parameters:
    ///   - identity: the key to prove besides.
    ///   - program: its name, such as `rtun-socks`.
    ///   - congestion: for what goes to a `quic://` server.
    ///   - addressMonitor: who tells of changes of the network; nil: nobody does.
    package func client(
        role: SignalClientConfiguration.Role, secret: Secret, identity: ProcessIdentity, program: String,
        congestion: CongestionChoice, eventLoop: any EventLoop, addressMonitor: AddressMonitor? = AddressMonitor.shared,
        logger: Logger
    ) throws -> SignalClient {
        var configuration = try self.configuration(
            role: role, secret: secret, program: program, congestion: congestion)
        configuration.identity = identity
        return try self.namingFile {
            try SignalClient(
                configuration: configuration, eventLoop: eventLoop, addressMonitor: addressMonitor, logger: logger)
        }
    }

    /// For a command's `validate()`: throws what is wrong with the URL.
    package func validateURL() throws(ValidationError) {
        do {
            _ = try ServerURL(parsing: self.url)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    /// For `--check-config`: throws what a start would throw for the URL, the secret and the file of authorities.
    package func check(
        role: SignalClientConfiguration.Role, secret: Secret, program: String, congestion: CongestionChoice
    ) throws {
        let configuration = try self.configuration(
            role: role, secret: secret, program: program, congestion: congestion)
        try self.namingFile { try configuration.check() }
    }

    func configuration(
        role: SignalClientConfiguration.Role, secret: Secret, program: String, congestion: CongestionChoice
    ) throws -> SignalClientConfiguration {
        // Key derivation takes 32 MiB for a moment.
        defer { Allocator.releaseFreeMemory() }
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: self.url), role: role, key: try SharedKey(secret: secret.bytes),
            software: Software.identifier(program))
        configuration.certificateAuthorityFile = self.caCertificate
        configuration.httpsInsecure = self.httpsInsecure
        configuration.quicInsecure = self.quicInsecure
        configuration.congestionControl = congestion.configurationValue
        return configuration
    }

    /// What goes wrong here has to do with authorities: with the option's name in front where it names a file.
    private func namingFile<Value>(_ body: () throws -> Value) throws(ProgramError) -> Value {
        do {
            return try body()
        } catch {
            let place = self.caCertificate.map { _ in "--ca-cert: " } ?? ""
            throw ProgramError(.unavailable, "\(place)\(error)")
        }
    }
}
