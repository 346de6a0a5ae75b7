import Basics
import CommandSupport
import LibC
import Logging
import NIOCore
import NIOPosix
import TunnelClient

/// One of the proxy's listening sockets, on the event loop of the tunnels.
final class SOCKSListener {
    private let channel: any Channel
    /// What to call it: the port is the real one.
    let name: String
    /// Where others can reach it; nil when only this machine can.
    let openAddress: String?
    private let file: UnixListeningSocket?

    private init(channel: any Channel, name: String, openAddress: String?, file: UnixListeningSocket? = nil) {
        self.channel = channel
        self.name = name
        self.openAddress = openAddress
        self.file = file
    }

    /// Listens, and serves clients. Throws a `ProgramError`.
    static func start(
        at place: ListenPlace, for clients: NIOLoopBound<ProxyClients>, eventLoop: any EventLoop, logger: Logger
    ) async throws -> NIOLoopBound<SOCKSListener> {
        switch place {
        case .network(let address): try await self.start(at: address, clients, eventLoop, logger)
        case .unix(let path): try await self.start(at: path, clients, eventLoop, logger)
        }
    }

    /// Listens on the first of the addresses that can be had; the IPv6 wildcard takes IPv4 as well.
    private static func start(
        at address: ListenAddress, _ clients: NIOLoopBound<ProxyClients>, _ eventLoop: any EventLoop, _ logger: Logger
    ) async throws -> NIOLoopBound<SOCKSListener> {
        let addresses = try address.resolve()
        for candidate in addresses {
            do {
                return try await self.bootstrap(clients, eventLoop, logger, protocol: candidate.protocol)
                    .bind(to: candidate)
                    .map { channel in
                        let bound = channel.localAddress ?? candidate
                        let name = address.announced(as: bound)
                        let listener = SOCKSListener(
                            channel: channel, name: name, openAddress: bound.isLoopback ? nil : name)
                        return NIOLoopBound(listener, eventLoop: eventLoop)
                    }.get()
            } catch {
                guard ListenAddress.lacksFamily(error), candidate != addresses.last else { throw address.error(error) }
            }
        }
        throw ProgramError(.internalError, "nothing to listen on")
    }

    private static func start(
        at path: UnixSocketPath, _ clients: NIOLoopBound<ProxyClients>, _ eventLoop: any EventLoop, _ logger: Logger
    ) async throws -> NIOLoopBound<SOCKSListener> {
        let socket = try UnixListeningSocket(path)
        return try await self.bootstrap(clients, eventLoop, logger, protocol: .unix)
            .withBoundSocket(socket.descriptor)
            .map { channel in
                // NIO lets fewer clients wait.
                _ = listen(socket.descriptor, UnixListeningSocket.backlog)
                let listener = SOCKSListener(channel: channel, name: "\(path)", openAddress: nil, file: socket)
                return NIOLoopBound(listener, eventLoop: eventLoop)
            }.get()
    }

    private static func bootstrap(
        _ clients: NIOLoopBound<ProxyClients>, _ eventLoop: any EventLoop, _ logger: Logger,
        protocol family: NIOBSDSocket.ProtocolFamily
    ) -> ServerBootstrap {
        // The wildcard takes IPv4 as well, however the machine is set up.
        ServerBootstrap.clients(
            on: eventLoop, limiter: { clients.value.limiter }, protocol: family, takesIPv4: true, logger: logger
        ).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try clients.value.serve(channel) }
        }
    }

    /// Accepts no more.
    func close() {
        self.channel.close(promise: nil)
        self.file?.remove()
    }
}

@available(*, unavailable)
extension SOCKSListener: Sendable {}
