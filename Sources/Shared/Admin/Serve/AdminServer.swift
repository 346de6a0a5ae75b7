import Basics
import CommandSupport
package import Logging
import NIOCore
import NIOPosix

/// What listens at `--admin`, on a thread of its own, so that nothing that it writes delays what the program carries.
package final class AdminServer: Sendable {
    private let core: NIOLoopBound<AdminResponder>
    /// Where it listens, for the ready line.
    package let address: String

    private init(core: NIOLoopBound<AdminResponder>, address: String) {
        self.core = core
        self.address = address
    }

    /// Listens where the options say; nil when they say nothing.
    ///
    /// - Parameter program: its name.
    /// - Throws: with exit code 64 when strangers could ask without a token, 69 when the place or the token's file cannot be
    ///   had.
    package static func start(
        _ options: AdminOptions, program: String, source: StatusSource, logger: Logger
    ) async throws -> AdminServer? {
        guard let place = options.place else { return nil }
        let addresses = try place.addresses()
        let access = try AdminAccess(place, addresses: addresses, token: try AdminToken.load(options.tokenFile))
        let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let core = try await eventLoop.submit {
            NIOLoopBound(
                AdminResponder(program: program, source: source, access: access, eventLoop: eventLoop, logger: logger),
                eventLoop: eventLoop)
        }.get()
        let listener = AdminListener(eventLoop: eventLoop, core: core, logger: logger)
        let announced: String
        switch place {
        case .unix(let path):
            try await listener.listen(onPath: path)
            announced = place.description
        case .network(let address):
            announced = address.announced(as: try await listener.listen(on: address, addresses))
        }
        logger.info("status and metrics are served", metadata: ["event": "admin.listening", "admin": "\(announced)"])
        core.eventLoop.execute { core.value.start() }
        return AdminServer(core: core, address: announced)
    }

    /// The program is about to stop: it is not ready any more.
    package func stopping() {
        self.core.eventLoop.execute { self.core.value.isStopping = true }
    }
}

extension AdminServer? {
    /// The fields of a ready line, with where the status is to be had behind them.
    package func announced(with fields: [(String, String)]) -> [(key: String, value: String)] {
        let fields = fields.map { (key: $0.0, value: $0.1) }
        return self.map { fields + [("admin", $0.address)] } ?? fields
    }
}
