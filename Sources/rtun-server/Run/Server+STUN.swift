import AppProto
import Basics
import CommandSupport
import LibC
import Logging
import NIOCore
import NIOPosix

extension Server {
    /// The sockets that answer nothing but STUN, and what peers are told of them.
    struct STUNSockets {
        var channels: [any Channel] = []
        var announced: [StunServer] = []
    }

    /// Opens the second port, and the second address, that `settings` ask for.
    ///
    /// - Parameters:
    ///   - addresses: those that the server's main port is in use on; at least one.
    ///   - isFree: whether the system chose that port.
    /// - Throws: ``ProgramError`` with exit code 69 when what was asked for in so many words cannot be had.
    static func listenForSTUN(
        _ settings: STUNSettings, beside addresses: [SocketAddress], isFree: Bool, parts: NIOLoopBound<Parts>,
        logger: Logger
    ) async throws -> STUNSockets {
        let port = addresses.first?.port ?? 0
        var sockets = STUNSockets()
        do {
            var second = addresses
            if let local = settings.address?.local {
                if addresses.contains(where: { $0.isWildcard && $0.protocol == local.protocol }) {
                    // The wildcard's sockets hear what is sent there; whether it is an address of ours they don't know.
                    try await Self.bindSTUN(local, parts).close()
                } else {
                    sockets.channels.append(try await Self.bindSTUN(local.with(port: port), parts))
                    second.append(local)
                }
                sockets.announce(settings.address, port: port)
            }
            guard let number = settings.portNumber(main: port, isFree: isFree) else { return sockets }
            do throws(ProgramError) {
                let channels = try await Self.bindSTUN(second, port: number, parts, attempts: Self.portAttempts)
                sockets.channels += channels
                let bound = channels.first?.localAddress?.port ?? number
                sockets.announced.insert(StunServer(port: UInt16(truncatingIfNeeded: bound)), at: 0)
                sockets.announce(settings.address, port: bound)
            } catch {
                guard settings.port == .automatic else { throw error }
                logger.warning(
                    "no second port for STUN: \(error); agents and clients cannot find out how their NATs behave",
                    metadata: [
                        "error": "\(error)",
                        "advice": "choose another port with --stun-port, or none with --stun-port off",
                    ])
            }
            return sockets
        } catch {
            for channel in sockets.channels { try? await channel.close() }
            throw error
        }
    }

    private static func bindSTUN(
        _ address: SocketAddress, _ parts: NIOLoopBound<Parts>
    ) async throws(ProgramError) -> any Channel {
        do {
            return try await Self.bind(address, parts) { $0.stun.bind(to: $1) }
        } catch {
            throw Self.bindError(error, on: address)
        }
    }

    /// One port on several addresses; with port 0 the first address decides on it.
    private static func bindSTUN(
        _ addresses: [SocketAddress], port: Int, _ parts: NIOLoopBound<Parts>, attempts: Int
    ) async throws(ProgramError) -> [any Channel] {
        var channels: [any Channel] = []
        for address in addresses {
            let number = channels.first?.localAddress?.port ?? port
            do throws(ProgramError) {
                channels.append(try await Self.bindSTUN(address.with(port: number), parts))
            } catch {
                for channel in channels { try? await channel.close() }
                // The system's choice for the first address may be taken on another one.
                guard port == 0, attempts > 1, !channels.isEmpty else { throw error }
                return try await Self.bindSTUN(addresses, port: 0, parts, attempts: attempts - 1)
            }
        }
        return channels
    }
}

extension Server.STUNSockets {
    fileprivate mutating func announce(_ address: STUNSettings.SecondAddress?, port: Int) {
        guard let address, let port = UInt16(exactly: port) else { return }
        self.announced.append(StunServer(address: address.announced, port: port))
    }
}

extension SocketAddress {
    /// The same address with this port.
    func with(port: Int) -> SocketAddress {
        var address = self
        address.port = port
        return address
    }
}
