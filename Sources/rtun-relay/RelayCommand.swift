import Admin
import ArgumentParser
import ClientSupport
import CommandSupport
import Diagnosis
import NIOCore
import NIOPosix
import PeerSupport
import Signaling

/// `rtun-relay`: local UDP and TCP ports whose traffic leaves from an agent.
struct RelayCommand: ProgramCommand {
    static let example =
        """
        rtun-relay -L '127.0.0.1:15353?to=192.0.2.53:53' 'rtun://rtun.example.com:8888/?...#...'
          (a link, as rtun-server --print-links prints it), or
          rtun-relay -L '127.0.0.1:15353?to=192.0.2.53:53' https://rtun.example.com:8888 --secret-file secret
        """
    static let roleWords = ["relay", "sub"]
    /// Workers are spread over the loops; more loops than workers are of no use.
    var eventLoopCount: Int { max(1, min(System.coreCount, self.relay.rules.count)) }
    static let name = "rtun-relay"

    static let configurationTables = [
        ConfigurationTable("rule", option: "L", required: ["listen", "to"], optional: ["protocol"]) { keys in
            (keys["protocol"].map { "\($0)://" } ?? "") + "\(keys["listen"] ?? "")?to=\(keys["to"] ?? "")"
        }
    ]

    static let configuration = CommandConfiguration(
        commandName: Self.name,
        abstract: "Forward local UDP and TCP ports to fixed targets through an agent.",
        discussion: """
            Each rule listens on a local address. What arrives there leaves from an agent to the rule's target, and answers \
            come back to the sender. The relay finds agents through an rtun server and reaches them over an encrypted \
            channel, directly if possible. For datagrams it behaves as UDP does: nothing is retransmitted, reordered or held \
            back. Connections, of rules that begin with tcp://, are streams of a QUIC tunnel.

            Examples:
              # two name servers, seen from the agent
              rtun-relay quic://203.0.113.7:8888 --secret-file secret \\
                --quic-insecure -L 'udp://0.0.0.0:15353?to=8.8.8.8:53' \\
                -L '0.0.0.0:15354?to=8.8.4.4:53'
              dig @127.0.0.1 -p 15353 example.com

              # ssh to a host that only the agent can reach
              rtun-relay https://rtun.example.com:8888 --secret-file secret \\
                --agent office -L 'tcp://127.0.0.1:8022?to=10.1.0.9:22'
              ssh -p 8022 127.0.0.1

              # WireGuard to a host that only the agent can reach
              rtun-relay https://rtun.example.com:8888 --secret-file secret \\
                --agent office -L '127.0.0.1:51820?to=10.1.0.9:51820'

              # which agents are there?
              rtun-relay https://rtun.example.com:8888 --secret-file secret \\
                --list-agents

              # will it work from here?
              rtun-relay https://rtun.example.com:8888 --secret-file secret --check

            Exit codes: 0 stopped, 64 bad usage (a wrong rule, too large a --udp-max-payload), 69 a port is taken, a file \
            cannot be read, --list-agents got no answer or --check expects nothing to work, 77 refused (wrong secret, \
            an agent with another key than --known-agents has), 78 \
            bad configuration file. A server or an agent that is away is retried indefinitely.
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
    @OptionGroup(title: "Relay")
    var relay: RelayOptions
    @OptionGroup(title: "Agents")
    var agents: AgentOptions
    @OptionGroup(title: "Peers")
    var peers: PeerOptions
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
    private static let certificateName = "rtun client"

    mutating func validate() throws {
        try self.server.validate(for: .client)
        guard self.agents.list || self.check.isWanted || !self.relay.rules.isEmpty else {
            throw ValidationError(
                "no rule given; write at least one -L LISTEN?to=TARGET, as in -L 127.0.0.1:15353?to=192.0.2.53:53")
        }
    }

    func checkConfiguration() throws {
        let access = try self.server.access(for: .client, self.secret)
        _ = try self.endToEndSecret.load()
        try self.identity.check()
        try self.agents.check()
        try access.check(
            self.server, role: .client, program: Self.name, congestion: self.peers.congestion)
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
        let group = MultiThreadedEventLoopGroup(numberOfThreads: self.eventLoopCount)
        if self.check.isWanted {
            let pattern = try self.agents.pattern()
            let keys = try self.agents.keys(eventLoop: group.next(), logger: log.logger)
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
                eventLoop: group.next(), log: log
            ).run()
        }
        let control = try access.client(
            self.server, role: .client, identity: identity, program: Self.name, congestion: self.peers.congestion,
            eventLoop: group.next(), logger: log.logger)
        let keys = try self.agents.keys(eventLoop: control.eventLoop, logger: log.logger)
        if self.agents.list {
            try await AgentListing(control: control, pattern: self.agents.pattern(), keys: keys).run()
        } else {
            log.accessLog = try self.accessLog.open(self.logging, beside: log)
            try await Relay(
                self, group: group, control: control, identity: identity, keys: keys, endToEndSecret: endToEndSecret,
                log: log
            ).run()
        }
    }
}
