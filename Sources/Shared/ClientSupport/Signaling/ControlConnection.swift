package import CommandSupport
import HostNetwork
package import NIOCore
import PeerSupport
package import Signaling

/// A client's control connection, and the event loop that it lives on.
package struct ControlConnection: Sendable {
    package let url: ServerURL
    package let client: SignalClient

    package var eventLoop: any EventLoop { self.client.eventLoop }

    /// Derives the key of the secret; connects to nothing yet. Throws a `ProgramError` or `ServerURLError`.
    ///
    /// - Parameters:
    ///   - program: its name, such as `rtun-socks`.
    ///   - congestion: for what goes to a `quic://` server.
    package init(
        _ options: ServerConnectionOptions, secret: Secret, program: String, congestion: CongestionChoice,
        eventLoop: any EventLoop, log: ProgramLog
    ) throws {
        let configuration = try options.configuration(
            role: .client, secret: secret, program: program, congestion: congestion)
        self.url = configuration.url
        do {
            self.client = try SignalClient(
                configuration: configuration, eventLoop: eventLoop, addressMonitor: AddressMonitor.shared,
                logger: log.logger)
        } catch {
            throw ProgramError(.unavailable, "\(error)")
        }
        // Key derivation takes 32 MiB for a moment.
        Allocator.releaseFreeMemory()
    }
}

extension SignalTerminal {
    /// What the program ends with; nil when the end was asked for.
    package var programError: ProgramError? {
        switch self {
        case .refused: ProgramError(.refused, "\(self)")
        case .replaced, .expired: ProgramError(.internalError, "\(self)")  // Said to agents only.
        case .stopped: nil
        }
    }
}
