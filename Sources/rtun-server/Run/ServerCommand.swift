import Admin
import ArgumentParser
import Basics
import CommandSupport
import Logging
import NIOCore
import NIOPosix
import QUIC
import Signaling

/// `rtun-server`: options, wiring, run, shut down.
struct ServerCommand: ProgramCommand {
    static let example = "rtun-server --state-dir /var/lib/rtun --public-name rtun.example.com"
    static let roleWords = ["agent", "listen", "server"]
    var eventLoopCount: Int { 1 }
    static let configuration = CommandConfiguration(
        commandName: "rtun-server",
        abstract:
            "The broker of rtun: introduces clients to agents, answers STUN, and relays the traffic of peers without a "
            + "direct path.",
        discussion: """
            Agents and clients connect over https:// (http:// without a certificate) or quic://, on the same port number \
            for TCP and UDP. The server also answers STUN, on that UDP port and on a second one (--stun-port).

            EXAMPLES

              rtun-server --state-dir /var/lib/rtun --public-name rtun.example.com

              What to paste on other machines (for the agent, the proxy, the relay):
              rtun-server --state-dir /var/lib/rtun --public-name rtun.example.com \\
                --print-links

              With a certificate of an authority, and a secret of your own:
              rtun-server --https-cert cert.pem --https-key key.pem \\
                --secret-file /etc/rtun/secret

              RTUN_SECRET=... rtun-server --addr '[::]:443' \\
                --https-cert cert.pem --https-key key.pem

              Behind a proxy that terminates TLS:
              rtun-server --addr 127.0.0.1:8888 --secret-file secret

              The list of agents, as JSON:
              token=$(rtun-server --secret-file secret --print-sessions-token 1h)
              curl -H "Authorization: Bearer $token" https://HOST:8888/pub/sessions

            Exit codes: 0 stopped, 64 bad usage, 69 the port is taken or a file cannot be read, 78 bad configuration file, \
            a certificate and key that cannot be used, or a wrong \
            line in --authorized-keys.
            """,
        version: Software.description(libraries: LibraryVersions.descriptions))

    @Option(
        help: ArgumentHelp(
            "Address and port to listen on, TCP and UDP. Port 0 takes a free one; [::]:8888 or :8888 listens on IPv4 and "
                + "IPv6.",
            valueName: "host:port"))
    var addr: String = Self.defaultAddress

    static let defaultAddress = "0.0.0.0:8888"

    @Option(
        help: ArgumentHelp(
            "Private key of the certificate: PEM, RSA or elliptic-curve, unencrypted. Needs --https-cert.",
            valueName: "file"))
    var httpsKey: String?

    @Option(
        help: ArgumentHelp(
            "Certificate with its chain, PEM. Reloaded when the files change and on SIGHUP. Needs --https-key.",
            valueName: "file"))
    var httpsCert: String?

    @Option(
        name: .customLong("trusted-proxy"),
        help: ArgumentHelp(
            "Believe X-Forwarded-For from this reverse proxy, so that peers appear with their own addresses in the log "
                + "and in limits per address. Repeatable.",
            valueName: "cidr"),
        transform: {
            do { return try AddressBlock(parsing: $0) } catch { throw ValidationError("\"\($0)\": \(error)") }
        })
    var trustedProxies: [AddressBlock] = []

    @Option(
        help: ArgumentHelp(
            "Let in only the keys that this file lists: 'agent NAME SHA256:...' and 'client SHA256:... agents=REGEX', one a "
                + "line. A secret is needed besides. Read again when it changes and on SIGHUP.",
            valueName: "file"))
    var authorizedKeys: String?

    @Option(
        help: ArgumentHelp(
            "Print a token for GET /pub/sessions that is valid for this long (90s, 2h, 7d; a bare number is minutes), and "
                + "exit.",
            valueName: "duration"))
    var printSessionsToken: String?

    /// Looked for by ``ProgramMain`` before anything that is needed otherwise can be missed.
    @Flag(
        name: .customLong("print-identity"),
        help: ArgumentHelp("Print the fingerprint of the certificate (SHA256:...), and exit. Needs no secret."))
    var wantsIdentity = false

    @Option(
        help: ArgumentHelp(
            "Congestion control for what is sent to quic:// agents and clients, the bridge included: bbr goes by "
                + "measured bandwidth, cubic by loss, which leaves more to TCP on the same link.",
            valueName: "algorithm"))
    var congestion = CongestionChoice.bbr

    @OptionGroup var state: StateOptions
    @OptionGroup var bridge: BridgeOptions
    @OptionGroup var statistics: StatisticsOptions
    @OptionGroup var stun: STUNOptions
    @OptionGroup var admin: AdminOptions
    @OptionGroup var secret: SecretOptions
    @OptionGroup var logging: LoggingOptions
    @OptionGroup var configurationFile: ConfigurationOptions

    func validate() throws {
        let address = try self.listenAddress()
        if case .given(let port) = self.stun.settings.port, port != 0, port == address.port {
            throw ValidationError("--stun-port must differ from the port of --addr, which answers STUN anyway")
        }
        _ = try self.certificateFiles()
        _ = try self.tokenLifetime()
        _ = try self.bridge.limits()
    }

    func listenAddress() throws -> ListenAddress {
        do {
            return try ListenAddress(parsing: self.addr, defaultHost: "0.0.0.0", defaultPort: 8888)
        } catch {
            throw ValidationError("--addr: \(error)")
        }
    }

    private func certificateFiles() throws -> CertificateFiles? {
        try Self.certificateFiles(self.httpsCert, self.httpsKey)
    }

    private static func certificateFiles(_ certificate: String?, _ key: String?) throws -> CertificateFiles? {
        switch (certificate, key) {
        case (let certificate?, let key?): return CertificateFiles(certificate: certificate, key: key)
        case (nil, nil): return nil
        case (.some, nil): throw ValidationError("--https-cert needs --https-key")
        case (nil, .some): throw ValidationError("--https-key needs --https-cert")
        }
    }

    private func tokenLifetime() throws -> TimeAmount? {
        guard let text = self.printSessionsToken else { return nil }
        let lifetime: TimeAmount
        do {
            lifetime = try TimeAmount(parsing: text, bareUnit: .minutes)
        } catch {
            throw ValidationError("--print-sessions-token: \(error)")
        }
        guard lifetime >= .seconds(1) else { throw ValidationError("--print-sessions-token must be at least 1s") }
        return lifetime
    }

    private var authorizedKeysFile: AuthorizedKeysFile? { self.authorizedKeys.map { AuthorizedKeysFile(path: $0) } }

    /// Reads secrets, key and certificate, and makes what is missing in the folder of the state.
    private func credentials() throws -> ServerCredentials {
        let address = try self.listenAddress()
        let name = try self.state.name()?.host ?? (address.isWildcard ? nil : address.host)
        return try ServerCredentials(
            self.secret, files: self.certificateFiles(), folder: self.state.stateFolder,
            name: name ?? StateFolder.unknownName)
    }

    /// What tokens are made with. Throws with exit code 78 where no token is of any use.
    private func tokenKey(_ credentials: ServerCredentials, _ keys: SecretKeys) throws -> ServerKey {
        if let ownKey = credentials.ownKey { return ownKey }
        guard self.authorizedKeys == nil else {
            throw ProgramError(
                .configuration,
                "with --authorized-keys a token takes a key of the server's own, not one that a secret leads to: "
                    + "give --state-dir, here and to the server")
        }
        guard let key = try keys.accepted(credentials.secrets.entries).tokenKeys.first else {
            throw ProgramError(
                .configuration,
                "all secrets are for agents, who may not read the list: give a secret for clients, or --state-dir")
        }
        return key
    }

    /// What the server is started with.
    func configuration(
        _ credentials: ServerCredentials, _ keys: SecretKeys, logger: Logger
    ) throws -> ServerConfiguration {
        ServerConfiguration(
            address: try self.listenAddress(), certificate: credentials.certificate,
            quicCertificate: credentials.quicCertificate, secrets: try keys.accepted(credentials.secrets.entries),
            watchedSecrets: credentials.secretFile.map {
                WatchedSecrets(file: $0, stamp: credentials.secretStamp, keys: keys)
            },
            authorizedKeys: self.authorizedKeysFile, ownKey: credentials.ownKey,
            trustedProxies: TrustedProxies(self.trustedProxies), stun: self.stun.settings,
            bridge: try self.bridge.limits(), congestionControl: self.congestion.configurationValue,
            statisticsInterval: self.statistics.interval, logger: logger)
    }

    /// `configuration` with what changes at run time.
    private func changing(_ configuration: ServerConfiguration) throws -> ServerConfiguration {
        var configuration = configuration
        configuration.trustedProxies = TrustedProxies(self.trustedProxies)
        configuration.bridge = try self.bridge.limits()
        return configuration
    }

    /// What SIGHUP changes of a file, besides the log and what is in the files of certificate and secrets.
    private static let atRunTime: Set<String> = ["bridge-rate", "bridge-total-rate", "trusted-proxy"]

    func checkConfiguration() throws {
        // Of the folder of the state nothing is made, nor read.
        if try self.secret.loadIfAny() == nil, self.state.stateFolder == nil {
            throw ServerCredentials.noSecret(self.secret)
        }
        _ = try self.certificateFiles()?.load()
        _ = try self.authorizedKeysFile?.load()
        _ = try self.listenAddress().resolve()
        try self.admin.check()
        try self.logging.check()
    }

    /// Without `--admin`, `--healthcheck` asks at `--addr`.
    static func question(_ given: GivenValues) throws -> (any ProgramQuestion)? {
        if given.asks("print-identity") {
            return CertificateQuestion(
                files: try Self.certificateFiles(given[option: "https-cert"], given[option: "https-key"]),
                folder: StateOptions.stateFolder(given[option: "state-dir"]),
                name: given[option: "public-name"].flatMap { try? HostPort(parsing: $0, defaultPort: 0).host })
        }
        return try AdminQuestion(given, program: "rtun-server", healthcheckNeedsPlace: false)
    }

    func run() async throws {
        if self.admin.wantsHealthcheck {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            return try await HealthCheck(
                address: try self.listenAddress(),
                usesTLS: try self.certificateFiles() != nil || self.state.folder != nil
            ).run(on: group.next())
        }
        try self.admin.check()
        let credentials = try self.credentials()
        let keys = SecretKeys()
        if self.state.printLinks {
            return try self.printLinks(credentials)
        }
        let log = try self.logging.open(program: "rtun-server")
        if let lifetime = try self.tokenLifetime() {
            let expiry = UnixTime.seconds + UInt64(max(0, lifetime.nanoseconds / 1_000_000_000))
            let key = try self.tokenKey(credentials, keys)
            try StandardStream.output.writeAnswer("\(SessionsToken.make(expiry: expiry, key: key))\n")
            return
        }
        let configuration = try self.configuration(credentials, keys, logger: log.logger)
        credentials.warn(log.logger)
        // One event loop: what the server does for most peer channels is over when the channel is up, and what it carries
        // for the others takes the network's time rather than the processor's.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let server = try await Server.start(configuration, on: group.next())
        let admin = try await AdminServer.start(
            self.admin, program: "rtun-server", source: server.statusSource, logger: log.logger)
        let readyLine = server.readyLine(admin)
        try self.welcome(credentials, port: UInt16(clamping: server.port), log)
        try await ProgramLifecycle.run(
            logger: log.logger,
            // As long as there is a terminal, it is somebody's wish for another certificate, or other secrets.
            endsOnHangup: { configuration.watchesFiles ? log.hasLostTerminal : log.isOnTerminal },
            hangup: {
                log.reopen()
                if let new = ConfigurationReload.read(ServerCommand.self, log: log, atRunTime: Self.atRunTime)?.command,
                    let changed = try? new.changing(configuration)
                {
                    await server.change(to: changed)
                }
                await server.reloadFiles()
            },
            report: { await server.report() },
            drain: {
                admin?.stopping()
                await server.stop()
            },
            body: {
                readyLine.announce()
                await server.closed()
                throw ProgramError(.unavailable, "the listening socket was closed")
            })
    }
}

extension CongestionChoice {
    fileprivate var configurationValue: CongestionControl {
        switch self {
        case .bbr: .bbr
        case .cubic: .cubic
        }
    }
}
