package import CommandSupport
package import HostNetwork
package import Logging
package import NIOCore
package import Signaling
package import TLS

extension ServerAccess {
    /// The control connection that a program keeps to the server; connects to nothing yet. Derives the key of the secret, which
    /// takes some 100 ms and 32 MiB while it runs. Throws a `ProgramError`.
    ///
    /// - Parameters:
    ///   - options: how the certificate is checked.
    ///   - identity: the key to prove besides.
    ///   - program: its name, such as `rtun-socks`.
    ///   - congestion: for what goes to the server over QUIC.
    ///   - checkedAgent: the name of the agent of which a client only looks whether it would get in.
    ///   - addressMonitor: who tells of changes of the network; nil: nobody does.
    package func client(
        _ options: ServerConnectionOptions, role: SignalClientConfiguration.Role, identity: ProcessIdentity,
        program: String, congestion: CongestionChoice, checkedAgent: String? = nil, eventLoop: any EventLoop,
        addressMonitor: AddressMonitor? = AddressMonitor.shared, logger: Logger
    ) throws -> SignalClient {
        var configuration = try self.configuration(options, role: role, program: program, congestion: congestion)
        configuration.identity = identity
        configuration.checkedAgent = checkedAgent
        return try options.namingFile {
            try SignalClient(
                configuration: configuration, eventLoop: eventLoop, addressMonitor: addressMonitor, logger: logger)
        }
    }

    /// For `--check-config`: throws what a start would throw for the secret and the file of authorities.
    package func check(
        _ options: ServerConnectionOptions, role: SignalClientConfiguration.Role, program: String,
        congestion: CongestionChoice
    ) throws {
        let configuration = try self.configuration(options, role: role, program: program, congestion: congestion)
        try options.namingFile { try configuration.check() }
    }

    func configuration(
        _ options: ServerConnectionOptions, role: SignalClientConfiguration.Role, program: String,
        congestion: CongestionChoice
    ) throws -> SignalClientConfiguration {
        // Key derivation takes 32 MiB for a moment.
        defer { Allocator.releaseFreeMemory() }
        var configuration = SignalClientConfiguration(
            server: self.place, role: role, key: try SharedKey(secret: self.secret.bytes),
            software: Software.identifier(program))
        if self.readAgain != nil { configuration.currentKey = { self.currentKey(on: $0) } }
        configuration.hasShortSecret = self.secret.isShort
        configuration.certificateAuthorityFile = options.caCertificate
        configuration.httpsInsecure = options.httpsInsecure
        configuration.quicInsecure = options.quicInsecure
        configuration.congestionControl = congestion.configurationValue
        return configuration
    }
}

extension ServerConnectionOptions {
    /// What goes wrong here has to do with authorities: with the option's name in front where it names a file.
    fileprivate func namingFile<Value>(_ body: () throws -> Value) throws(ProgramError) -> Value {
        do {
            return try body()
        } catch {
            let place = self.caCertificate.map { _ in "--ca-cert: " } ?? ""
            throw ProgramError(.unavailable, "\(place)\(error)")
        }
    }
}
