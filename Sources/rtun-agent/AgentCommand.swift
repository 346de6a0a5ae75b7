import Admin
import ArgumentParser
import CommandSupport
import Diagnosis
import NIOCore
import NIOPosix
import PeerSupport
import Signaling

/// `rtun-agent`: the egress.
struct AgentCommand: ProgramCommand {
    static let example = """
        rtun-agent 'rtun://rtun.example.com:8888/?...#...' --agent office
          (a link, as rtun-server --print-links prints it), or
          rtun-agent https://rtun.example.com:8888 --agent office --secret-file secret
        """
    static let roleWords = ["agent", "pub"]
    var eventLoopCount: Int { System.coreCount }
    static let name = "rtun-agent"

    static let configuration = CommandConfiguration(
        commandName: Self.name,
        abstract: "Let clients' connections and datagrams leave from this machine.",
        discussion: """
            Registers with an rtun server under a name, and connects to TCP and UDP targets for the clients that the \
            server introduces. Clients reach the agent over an encrypted channel, directly if possible; no port has to be \
            open.

            Examples:
              # with the link that the server prints (--print-links)
              rtun-agent 'rtun://rtun.example.com:8888/?...#...' --agent office

              # for an hour, with the secret in a file
              rtun-agent https://rtun.example.com:8888 --agent office \\
                --expire_in 60 --secret-file /etc/rtun/secret

              # over QUIC, to a server with a self-signed certificate
              export RTUN_SECRET=$(openssl rand -hex 32)
              rtun-agent quic://203.0.113.7:8888 --agent home --quic-insecure

              # only to the web servers of one network
              rtun-agent https://rtun.example.com --secret-file secret \\
                --allow 10.1.0.0/16:80,443 --deny '*'

              # for two clients only, one of which may reach one network
              echo 'SHA256:... laptop' > clients
              echo 'SHA256:... allow=10.1.0.0/16:443 build server' >> clients
              rtun-agent https://rtun.example.com --secret-file secret \\
                --authorized-clients clients

              # will it work from here? A running agent of the same name is left alone.
              rtun-agent https://rtun.example.com:8888 --secret-file secret --check

            Exit codes: 0 stopped or expired, 64 bad usage, 69 a file cannot be read or --check expects nothing to work, \
            75 replaced by a newer agent of the same name, 77 refused (wrong secret), 78 bad configuration file. A server \
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
    @OptionGroup(title: "Registration")
    var registration: RegistrationOptions
    @OptionGroup(title: "Egress")
    var egress: EgressOptions
    @OptionGroup(title: "Peers")
    var peers: PeerOptions
    @OptionGroup(title: "Peers")
    var clients: ClientOptions
    @OptionGroup(title: "Diagnosis")
    var check: CheckOptions
    @OptionGroup(title: "Status")
    var admin: AdminOptions
    @OptionGroup(title: "Logging")
    var statistics: StatisticsOptions
    @OptionGroup(title: "Logging")
    var logging: LoggingOptions
    @OptionGroup(title: "Logging")
    var accessLog: AccessLogOptions
    @OptionGroup
    var configurationFile: ConfigurationOptions

    /// In the certificate, for people who look at one.
    private static let certificateName = "rtun agent"

    mutating func validate() throws {
        try self.server.validate(for: .agent)
    }

    func checkConfiguration() throws {
        let access = try self.server.access(for: .agent, self.secret)
        _ = try self.endToEndSecret.load()
        try self.identity.check()
        _ = try self.clients.load()
        let name = try self.registration.name()
        try access.check(
            self.server,
            role: .agent(name: name, expireIn: self.registration.expireIn, labels: self.registration.labels),
            program: Self.name, congestion: self.peers.congestion)
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
        let access = try self.server.access(for: .agent, self.secret)
        let endToEndSecret = try self.endToEndSecret.load()
        let identity = try self.identity.load(commonName: Self.certificateName)
        let list = try self.clients.load()
        var log = try self.logging.open(program: Self.name)
        if self.check.isWanted {
            return try await ConnectionCheck(
                program: Self.name, role: .agent(name: try self.registration.name()), server: self.server,
                access: access, identity: identity, peers: self.peers,
                eventLoop: MultiThreadedEventLoopGroup(numberOfThreads: 1).next(), log: log
            ).run()
        }
        log.accessLog = try self.accessLog.open(self.logging, beside: log)
        try await Agent(
            self, access: access, endToEndSecret: endToEndSecret, identity: identity, list: list, log: log
        ).run()
    }
}
