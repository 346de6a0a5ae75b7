import ICE
import NIOCore
import PeerPath
import UDP

/// Hears what arrives at the sockets of a channel, on its event loop.
protocol PathSocketsDelegate: AnyObject {
    /// One datagram, or with `segmentSize` several of that size, the last perhaps shorter.
    func received(_ bytes: ByteBuffer, segmentSize: Int?, on base: PathBase, from source: SocketAddress)
    /// The end of a batch of datagrams.
    func receiveComplete()
    /// The socket takes datagrams again, or takes none for now. May be called from inside `send`.
    func writabilityChanged(of base: PathBase)
    /// A socket is gone though nobody has closed it.
    ///
    /// - Parameter isLast: whether its session has none left.
    func socketLost(_ base: PathBase, error: (any Error)?, isLast: Bool)
}

/// The sockets of a channel's ICE sessions. Belongs to its event loop.
final class PathSockets {
    /// One socket, under the name that the engine knows it by.
    private final class Socket: UDPSocketDelegate {
        let base: PathBase
        let socket: UDPSocket
        weak var owner: PathSockets?

        init(_ socket: UDPSocket, base: PathBase, owner: PathSockets) {
            self.base = base
            self.socket = socket
            self.owner = owner
            socket.delegate = self
        }

        func socket(
            _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
            at local: SocketAddress?
        ) {
            self.owner?.delegate?.received(bytes, segmentSize: segmentSize, on: self.base, from: source)
        }

        func socketReceiveComplete(_ socket: UDPSocket) { self.owner?.delegate?.receiveComplete() }

        func socketWritabilityChanged(_ socket: UDPSocket) { self.owner?.delegate?.writabilityChanged(of: self.base) }

        func socketFailed(_ socket: UDPSocket, error: (any Error)?) { self.owner?.failed(self.base, error) }
    }

    weak var delegate: (any PathSocketsDelegate)?
    private let configuration: PeerChannelConfiguration
    private let eventLoop: any EventLoop
    /// By session, the newest last; a base is an index. Nil in the place of a socket that has been closed.
    private var sessions: [(generation: UInt32, sockets: [Socket?])] = []
    private var isClosed = false

    init(configuration: PeerChannelConfiguration, eventLoop: any EventLoop) {
        self.configuration = configuration
        self.eventLoop = eventLoop
    }

    /// Opens the sockets that the configuration and this machine's addresses call for. `completion` gets the host candidates,
    /// or `.noLocalAddress` or `.noSocket`, in a later turn of the loop, unless everything has been closed by then.
    func open(_ generation: UInt32, _ completion: @escaping (Result<[ICECandidate], PeerChannelError>) -> Void) {
        LocalSockets.open(
            interfaces: self.configuration.interfaces, loopbackOnly: self.configuration.loopbackOnly,
            eventLoop: self.eventLoop
        ).hop(to: self.eventLoop).assumeIsolated().whenComplete { [weak self] result in
            guard let self, !self.isClosed else {
                for socket in (try? result.get().value.sockets) ?? [] { socket.close() }
                return
            }
            switch result {
            case .success(let bound):
                let sockets = bound.value.sockets.enumerated().map { index, socket in
                    let base = PathBase(generation: generation, base: LocalBaseID(index))
                    return Optional(Socket(socket, base: base, owner: self))
                }
                self.sessions.append((generation, sockets))
                completion(.success(bound.value.hosts))
            case .failure(let error):
                completion(.failure(error as? PeerChannelError ?? .noSocket("\(error)")))
            }
        }
    }

    /// Opens one more socket for a session, of IPv4. `completion` gets its name and port, in a later turn, if that went well.
    func openAnother(_ generation: UInt32, _ completion: @escaping (PathBase, Int) -> Void) {
        guard let any = try? SocketAddress(ipAddress: "0.0.0.0", port: 0) else { return }
        UDPSocket.bind(to: any, eventLoop: self.eventLoop).assumeIsolated().whenSuccess { [weak self] bound in
            guard let self, let index = self.index(of: generation) else { return bound.value.close() }
            let base = PathBase(generation: generation, base: LocalBaseID(self.sessions[index].sockets.count))
            self.sessions[index].sockets.append(Socket(bound.value, base: base, owner: self))
            completion(base, bound.value.localAddress.port ?? 0)
        }
    }

    /// Those that are open.
    var all: [UDPSocket] { self.sessions.flatMap { $0.sockets.compactMap { $0?.socket } } }

    /// The socket of this name; nil when it is closed.
    subscript(base: PathBase) -> UDPSocket? {
        guard let index = self.index(of: base.generation), base.base.rawValue < self.sessions[index].sockets.count
        else { return nil }
        return self.sessions[index].sockets[base.base.rawValue]?.socket
    }

    private func index(of generation: UInt32) -> Int? {
        self.sessions.lastIndex { $0.generation == generation }
    }

    func close(_ base: PathBase) {
        self[base]?.close()
        if let index = self.index(of: base.generation) { self.sessions[index].sockets[base.base.rawValue] = nil }
    }

    /// Closes the sockets of a session.
    func close(_ generation: UInt32) {
        guard let index = self.index(of: generation) else { return }
        for socket in self.sessions.remove(at: index).sockets { socket?.socket.close() }
    }

    /// Closes all, those that are being opened included. The delegate hears nothing more.
    func close() {
        self.isClosed = true
        self.delegate = nil
        for session in self.sessions { self.close(session.generation) }
    }

    private func failed(_ base: PathBase, _ error: (any Error)?) {
        guard let index = self.index(of: base.generation) else { return }
        self.sessions[index].sockets[base.base.rawValue] = nil
        let isLast = self.sessions[index].sockets.allSatisfy { $0 == nil }
        self.delegate?.socketLost(base, error: error, isLast: isLast)
    }
}

@available(*, unavailable)
extension PathSockets: Sendable {}
