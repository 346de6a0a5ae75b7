import Admin
import ArgumentParser
import ClientSupport
import CommandSupport
import Diagnosis
import NIOPosix
import PeerSupport
import Signaling

/// `rtun-socks`: the proxy on the user's machine.
struct SocksCommand: ProgramCommand {
    static let example = """
        rtun-socks 'rtun://rtun.example.com:8888/?...#...'
          (a link, as rtun-server --print-links prints it), or
          rtun-socks https://rtun.example.com:8888 --secret-file secret
        """
    static let roleWords = ["socks", "sub"]
    var eventLoopCount: Int { 1 }
    static let name = "rtun-socks"

    static let configuration = CommandConfiguration(
        commandName: Self.name,
        abstract: "A SOCKS and HTTP proxy whose connections leave from an agent.",
        discussion: """
            Speaks SOCKS 5 (with UDP), 4a and 4, and HTTP, on the same port. Finds an agent through an rtun server and reaches it over an encrypted tunnel, \
            directly if possible. Names are resolved at the agent. If the agent goes away, new connections use the next one.

            Examples:
              # a proxy on 127.0.0.1:2080, with the link that the server prints
              rtun-socks 'rtun://rtun.example.com:8888/?...#...'
              curl --socks5-hostname 127.0.0.1:2080 https://example.com/
              curl --proxy http://127.0.0.1:2080 https://example.com/

              # for the whole network, with a password, through one agent only
              rtun-socks https://rtun.example.com:8888 --secret-file secret \\
                  --listen 0.0.0.0:2080 --auth me:pass --agent office

              # over QUIC, to a server with a self-signed certificate
              rtun-socks quic://203.0.113.7:8888 --quic-insecure --secret-file ~/.rtun-secret

              # which agents are there?
              rtun-socks https://rtun.example.com:8888 --secret-file secret \\
                  --list-agents

              # will it work from here?
              rtun-socks https://rtun.example.com:8888 --secret-file secret --check

            Exit codes: 0 stopped, 64 bad usage, 69 the port is taken, a file cannot be read, --list-agents got no answer \
            or --check expects nothing to work, 77 refused (wrong secret, \
            an agent with another key than --known-agents has), 78 bad configuration file. A server or an agent \
            that is away is retried indefinitely.
            """,
        version: Software.description(libraries: LibraryVersions.descriptions))

    @OptionGroup(title: "Server")
    var server: ServerConnectionOptions
    @OptionGroup(title: "Secret")
    var secret: SecretOptions
    @OptionGroup(title: "Secret")
    var endToEndSecret: EndToEndSecretOptions
    @OptionGroup(title: "Identity")
    var identity: IdentityOptions
    @OptionGroup(title: "Proxy")
    var proxy: ProxyOptions
    @OptionGroup(title: "Agents")
    var agents: AgentOptions
    @OptionGroup(title: "Peers")
    var peers: PeerOptions
    @OptionGroup(title: "Diagnosis")
    var check: CheckOptions
    @OptionGroup(title: "Status")
    var admin: AdminOptions
    @OptionGroup(title: "Logging")
    var logging: LoggingOptions
    @OptionGroup(title: "Logging")
    var accessLog: AccessLogOptions
    @OptionGroup
    var configurationFile: ConfigurationOptions

    /// In the certificate, for people who look at one.
    private static let certificateName = "rtun client"

    mutating func validate() throws {
        try self.server.validate(for: .client)
    }

    func checkConfiguration() throws {
        let access = try self.server.access(for: .client, self.secret)
        _ = try self.endToEndSecret.load()
        try self.identity.check()
        try self.agents.check()
        try access.check(
            self.server, role: .client, program: Self.name, congestion: self.peers.congestion)
        for case .network(let address) in try self.proxy.places() { _ = try address.resolve() }
        try self.admin.check()
        try self.logging.check()
        try self.accessLog.check()
    }

    static func question(_ given: GivenValues) throws -> (any ProgramQuestion)? {
        if let question = IdentityQuestion(given, program: Self.name, commonName: Self.certificateName) {
            return question
        }
        return try AdminQuestion(given, program: Self.name)
    }

    func run() async throws {
        try self.admin.check()
        let access = try self.server.access(for: .client, self.secret)
        let endToEndSecret = try self.endToEndSecret.load()
        let identity = try self.identity.load(commonName: Self.certificateName)
        var log = try self.logging.open(program: Self.name)
        if self.agents.list { log = log.forOneAnswer }
        // Tunnels and the sockets that they serve share a loop, so one is all that can be used.
        let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        if self.check.isWanted {
            let pattern = try self.agents.pattern()
            let keys = try self.agents.keys(eventLoop: eventLoop, logger: log.logger)
            return try await ConnectionCheck(
                program: Self.name,
                role: .client(
                    pattern: self.agents.expression, matches: { pattern.matches($0) },
                    judge: keys.map { keys in
                        {
                            AgentsReport.KeyJudgement(
                                word: keys.standing(of: $0).rawValue, refusal: keys.refusal(of: $0)?.summary)
                        }
                    }),
                server: self.server, access: access, identity: identity, peers: self.peers,
                eventLoop: eventLoop, log: log
            ).run()
        }
        let control = try access.client(
            self.server, role: .client, identity: identity, program: Self.name, congestion: self.peers.congestion,
            eventLoop: eventLoop, logger: log.logger)
        let keys = try self.agents.keys(eventLoop: eventLoop, logger: log.logger)
        if self.agents.list {
            try await AgentListing(control: control, pattern: self.agents.pattern(), keys: keys).run()
        } else {
            log.accessLog = try self.accessLog.open(self.logging, beside: log)
            try await SocksProxy(
                self, control: control, identity: identity, keys: keys, endToEndSecret: endToEndSecret, log: log
            ).run()
        }
    }
}
