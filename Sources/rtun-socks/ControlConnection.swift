import CommandSupport
import NIOCore
import NIOPosix
import Signaling

/// The control connection and the one event loop that everything here runs on.
struct ControlConnection {
    let url: ServerURL
    let client: SignalClient

    var eventLoop: any EventLoop { self.client.eventLoop }

    /// Derives the key of the secret; connects to nothing yet. Throws a `ProgramError`.
    init(_ command: SocksCommand, secret: Secret, log: ProgramLog) throws {
        self.url = try ServerURL(parsing: command.server.url)
        var configuration = SignalClientConfiguration(
            url: self.url, role: .client, key: try SharedKey(secret: secret.bytes),
            software: Software.identifier(SocksCommand.name))
        configuration.certificateAuthorityFile = command.server.caCertificate
        configuration.httpsInsecure = command.server.httpsInsecure
        configuration.quicInsecure = command.server.quicInsecure
        do {
            // Tunnels and the sockets that they serve share a loop, so one is all that can be used.
            let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
            self.client = try SignalClient(configuration: configuration, eventLoop: eventLoop, logger: log.logger)
        } catch {
            throw ProgramError(.unavailable, "\(error)")
        }
        // Key derivation takes 32 MiB for a moment.
        Allocator.releaseFreeMemory()
    }
}

extension SignalTerminal {
    /// What the program ends with; nil when the end was asked for.
    var programError: ProgramError? {
        switch self {
        case .refused: ProgramError(.refused, "\(self)")
        case .replaced, .expired: ProgramError(.internalError, "\(self)")  // Said to agents only.
        case .stopped: nil
        }
    }
}
