import FileWatch
import Logging
import NIOCore

/// Keeps to the file of `--authorized-clients`: has the acceptor go by what it says now. Belongs to the signalling event loop.
final class ClientWatch {
    /// How often the file is looked at, and how long it has to stay the same before it is read.
    private static let interval = TimeAmount.seconds(5)
    private static let settling = TimeAmount.seconds(1)

    private let reloader: FileReloader<AuthorizedClients>

    /// - Parameter stamp: of the file, from before it was read at the start.
    init(file: String, loaded stamp: FileStamp?, acceptor: PeerAcceptor, eventLoop: any EventLoop, logger: Logger) {
        let source = FileReloader<AuthorizedClients>.Source(
            paths: [file], interval: Self.interval, settling: Self.settling
        ) { try AuthorizedClients(file: file) }
        self.reloader = FileReloader(source, loaded: stamp, eventLoop: eventLoop) { result in
            switch result {
            case .success(let list):
                let closed = acceptor.change(to: list)
                logger.notice(
                    "the list of clients was read again",
                    metadata: [
                        "event": "keys.reloaded", "file": "\(file)", "clients": .stringConvertible(list.rules.count),
                        "closed": .stringConvertible(closed),
                    ])
            case .failure(let error):
                logger.error(
                    "cannot use the list of clients, the one before stays in use: \(error)",
                    metadata: ["event": "keys.reload_failed", "file": "\(file)"])
            }
        }
    }

    /// Starts to watch.
    func start() { self.reloader.start() }

    /// Reads the file now.
    func reload() { self.reloader.reload() }
}

@available(*, unavailable)
extension ClientWatch: Sendable {}
