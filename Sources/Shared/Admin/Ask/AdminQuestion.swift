package import CommandSupport
package import NIOCore
import NIOHTTP1
import NIOPosix
import OperatingSystem

/// What `--status` and `--healthcheck` ask of a program that runs, at its `--admin`.
package struct AdminQuestion: ProgramQuestion {
    enum Kind: Equatable {
        case table
        case document
        case health

        var route: AdminRoute {
            switch self {
            case .table: .table
            case .document: .document
            case .health: .health
            }
        }
    }

    /// For the whole of it.
    private static let timeout = TimeAmount.seconds(5)

    let program: String
    let kind: Kind
    let place: ListenPlace
    let tokenFile: String?

    /// What the options ask; nil when it is nothing, or something that can be asked without `--admin`.
    ///
    /// - Parameter healthcheckNeedsPlace: whether `--healthcheck` has nobody else to ask.
    /// - Throws: with exit code 64 when it is not known where.
    package init?(_ given: GivenValues, program: String, healthcheckNeedsPlace: Bool = true) throws {
        let wantsStatus = given.asks(AdminOptions.statusName)
        let wantsHealth = given.asks(AdminOptions.healthcheckName)
        guard wantsStatus || wantsHealth else { return nil }
        let option = wantsStatus ? "--status" : "--healthcheck"
        guard !(wantsStatus && wantsHealth) else {
            throw ProgramError(.usage, "give either --status or --healthcheck, not both")
        }
        guard let text = given[option: AdminOptions.placeName] else {
            if wantsHealth, !healthcheckNeedsPlace { return nil }
            throw ProgramError(
                .usage,
                """
                \(option) asks the \(program) that runs, where its --admin says; give the same here: --admin 127.0.0.1:PORT or \
                --admin unix:/path, RTUN_ADMIN, or the key admin in the configuration file
                """)
        }
        do {
            self.place = try ListenPlace(admin: text)
        } catch {
            throw ProgramError(.usage, "--admin: \(error)")
        }
        if case .network(let address) = self.place, address.port == 0 {
            throw ProgramError(
                .usage,
                "\(option) needs the port that the program listens on; its ready line and its log say it (admin=)")
        }
        self.program = program
        self.kind = !wantsStatus ? .health : given.asks(AdminOptions.jsonName) ? .document : .table
        self.tokenFile = given[option: AdminOptions.tokenFileName]
    }

    /// Asks, and prints what comes. Throws with exit code 69 when nothing comes.
    package func ask() async throws {
        let token = try AdminToken.load(self.tokenFile)
        let answer = try await self.answer(token, on: MultiThreadedEventLoopGroup(numberOfThreads: 1).next())
        switch answer.status {
        case .ok where self.kind == .health: return
        case .ok: try StandardStream.output.writeAnswer(answer.body)
        case .unauthorized:
            throw ProgramError(
                .unavailable,
                token == nil
                    ? "\(self.program) at \(self.place) wants a token: give its --admin-token-file here, too"
                    : "\(self.program) at \(self.place) wants another token than the one in \(self.tokenFile ?? "")")
        default:
            let line = answer.body.prefix { !$0.isNewline }.prefix(200)
            throw ProgramError(
                .unavailable,
                "no \(self.program) with --admin at \(self.place): it answered \(answer.status.code) \(line)")
        }
    }

    func answer(_ token: AdminToken?, on eventLoop: any EventLoop) async throws(ProgramError) -> AdminAnswer {
        var failure = "no answer"
        let addresses: [SocketAddress]
        switch self.place {
        case .unix(let path):
            do { addresses = [try SocketAddress(unixDomainSocketPath: path.path)] } catch {
                throw ProgramError(.usage, "--admin: \(error)")
            }
        case .network(let address): addresses = try address.resolve().map(\.reachable)
        }
        for address in addresses {
            do {
                return try await AdminExchange.run(
                    self.kind.route, at: address, token: token, timeout: Self.timeout, on: eventLoop)
            } catch {
                failure = Self.words(for: error)
            }
        }
        throw ProgramError(
            .unavailable,
            "no answer from \(self.program) at \(self.place): \(failure); does it run, with this --admin?")
    }

    private static func words(for error: any Error) -> String {
        switch error {
        case is HTTPParserError: "what answers does not speak HTTP"
        case ChannelError.connectTimeout: "no answer within 5 s"
        case ChannelError.eof: "it closed the connection"
        default: SystemError.text(of: error)
        }
    }
}

extension SocketAddress {
    /// Where to reach on this machine what listens on this address.
    package var reachable: SocketAddress {
        let loopback = ["0.0.0.0": "127.0.0.1", "::": "::1"][self.ipAddress ?? ""]
        return loopback.flatMap { try? SocketAddress(ipAddress: $0, port: self.port ?? 0) } ?? self
    }
}
