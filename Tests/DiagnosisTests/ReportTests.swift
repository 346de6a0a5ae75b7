import Basics
import AppProto
import NIOCore
import PeerChannel
import Signaling
import Testing

@testable import Diagnosis

@Suite struct `what --check says` {
    private func address(_ ip: String, _ port: Int = 0) throws -> SocketAddress {
        try SocketAddress(ipAddress: ip, port: port)
    }

    private func agent(
        _ name: String, _ mapping: MappingBehavior, address: String = "198.51.100.9:40000"
    ) throws -> AgentInfo {
        let id = try #require(InstanceID(rawValue: String(repeating: "a", count: 32)))
        var agent = AgentInfo(name: name, instanceID: id, address: address, software: "rtun-agent/0.1.0")
        agent.mapping = mapping
        return agent
    }

    @Test func `a line has outcome, subject and finding in columns, and the advice below`() {
        #expect(CheckItem(.ok, "UDP", "gets out").text == "ok       UDP         gets out\n")
        #expect(
            CheckItem(.warning, "signalling", "slow", advice: "wait").text == """
                warning  signalling  slow
                                     -> wait

                """)
    }

    @Test(arguments: [
        (TimeAmount.milliseconds(999), CheckItem.Outcome.ok, "agrees with the server's"),
        (.seconds(-3), .ok, "this machine's clock is 3 s ahead of the server's"),
        (.seconds(31), .warning, "this machine's clock is 31 s behind the server's"),
        (.hours(-5), .warning, "this machine's clock is 5 h ahead of the server's"),
    ])
    func `a clock that is far off is a warning`(
        difference: TimeAmount, outcome: CheckItem.Outcome, finding: String
    ) throws {
        let report = SignallingReport(
            server: .url(try ServerURL(parsing: "quic://localhost:1")), isInsecure: true,
            outcome: .connected(
                server: "rtun-server/1", remote: try self.address("192.0.2.1", 1), after: .milliseconds(12),
                clockDifference: difference))
        #expect(report.items.map(\.outcome) == [.ok, .ok, outcome])
        #expect(
            report.items.map(\.finding) == [
                "connected to 192.0.2.1:1 in 12 ms: QUIC, certificate not checked (--quic-insecure)",
                "accepted by rtun-server/1", finding,
            ])
    }

    @Test func `a port that nobody answers on is told apart from UDP that is blocked`() throws {
        var probe = MappingProbe.Report(mapping: .unknown, localAddresses: [try self.address("192.0.2.2")])
        probe.answers = [
            .init(
                server: try self.address("203.0.113.10", 8888),
                outcome: .mapped(try self.address("198.51.100.7", 40123))),
            .init(server: try self.address("203.0.113.10", 3478), outcome: .noAnswer),
        ]
        let report = NATReport(.success(probe), hasBridge: false)
        #expect(
            report.items.map(\.text).joined() == """
                ok       STUN        203.0.113.10:8888 sees this machine as 198.51.100.7:40123
                warning  STUN        no answer from 203.0.113.10:3478
                                     -> let that UDP port through: the firewall of the server, the published ports of its container
                warning  mapping     not known: only one STUN server has answered, and it takes two to compare
                                     -> let rtun-server answer on a second port (--stun-port), or name another server with --stun
                ok       UDP         gets out, and answers come back
                ok       addresses   IPv4: 192.0.2.2; IPv6: none

                """)
        probe.answers.removeFirst()
        probe.mapping = .udpBlocked
        for (hasBridge, outcome) in [(false, CheckItem.Outcome.failed), (true, .warning)] {
            let items = NATReport(.success(probe), hasBridge: hasBridge).items
            #expect(items.first { $0.subject == "UDP" }?.outcome == outcome)
            #expect(items.first { $0.subject == "STUN" }?.advice == nil)
        }
        // The silence of a server that is away says nothing.
        let away = NATReport(.success(probe), hasBridge: false, serverIsAway: true)
        #expect(away.items.first { $0.subject == "UDP" }?.outcome == .warning)
    }

    @Test func `a machine without a usable address has no UDP`() {
        let report = NATReport(.failure(PeerChannelError.noLocalAddress(interfaces: ["eth9"])), hasBridge: false)
        #expect(report.mapping == .udpBlocked)
        #expect(report.items.map(\.outcome) == [.failed])
        #expect(report.items[0].finding.contains("eth9"))
    }

    @Test(arguments: [
        (MappingBehavior.none, MappingBehavior.none, PathPrediction.Likelihood.likely),
        (.endpointIndependent, .portIndependent, .likely),
        (.addressAndPortDependent, .endpointIndependent, .possible),
        (.endpointIndependent, .addressDependent, .possible),
        (.addressDependent, .addressAndPortDependent, .unlikely),
        (.none, .addressAndPortDependent, .possible),
        (.addressDependent, .none, .possible),
        (.addressDependent, .unknown, .possible),
        (.unknown, .endpointIndependent, .possible),
        (.endpointIndependent, .unknown, .possible),
        (.udpBlocked, .none, .unlikely),
        (.none, .udpBlocked, .unlikely),
    ])
    func `two mapping behaviours say how likely a direct path is`(
        client: MappingBehavior, agent: MappingBehavior, likelihood: PathPrediction.Likelihood
    ) {
        #expect(PathPrediction(client: client, agent: agent).likelihood == likelihood)
        #expect(PathPrediction(client: client, agent: agent, place: .together).likelihood == .likely)
        #expect(PathPrediction(client: client, agent: agent, place: .loopbackOfOne).likelihood == .unlikely)
    }

    @Test func `agents behind the same NAT are recognised, unless a proxy makes everybody look the same`() throws {
        let agents = [
            try self.agent("far", .addressDependent),
            try self.agent("near", .addressDependent, address: "198.51.100.7:9"),
        ]
        for (mapped, likelihoods) in [
            ("198.51.100.7", [PathPrediction.Likelihood.unlikely, .likely]), ("198.51.100.8", [.unlikely, .unlikely]),
        ] {
            let probe = MappingProbe.Report(
                mapping: .addressDependent,
                answers: [
                    .init(
                        server: try self.address("203.0.113.10", 8888), outcome: .mapped(try self.address(mapped, 7)))
                ])
            let report = AgentsReport(
                pattern: ".*", agents: agents, count: 3,
                client: .init(
                    observedAddress: "198.51.100.7:1", serverIsLoopback: false, mapping: .addressDependent, probe: probe
                ))
            #expect(report.predictions.map(\.likelihood) == likelihoods)
            #expect(report.items[0].finding == "2 of 3 registered match .*")
        }
    }

    @Test func `a direct path is unlikely if only one side reaches the server over loopback`() throws {
        let agents = [try self.agent("far", .none), try self.agent("here", .none, address: "127.0.0.1:9")]
        let report = AgentsReport(
            pattern: ".*", agents: agents, count: 2,
            client: .init(observedAddress: "127.0.0.1:1", serverIsLoopback: true, mapping: .none, probe: nil))
        #expect(report.predictions.map(\.likelihood) == [.unlikely, .likely])
        // Seen from the other side of a reverse proxy on the server's machine, 127.0.0.1 is everybody.
        let proxied = AgentsReport(
            pattern: ".*", agents: agents, count: 2,
            client: .init(observedAddress: "127.0.0.1:1", serverIsLoopback: false, mapping: .none, probe: nil))
        #expect(proxied.predictions.map(\.likelihood) == [.likely, .likely])
    }

    @Test func `without guessing, one hard NAT is enough to make a direct path unlikely`() throws {
        let pairs: [(MappingBehavior, MappingBehavior)] = [
            (.addressDependent, .endpointIndependent), (.unknown, .addressAndPortDependent),
        ]
        for (client, agent) in pairs {
            #expect(PathPrediction(client: client, agent: agent, guessesPorts: false).likelihood == .unlikely)
            #expect(PathPrediction(client: client, agent: agent, guessesPorts: true).likelihood == .possible)
        }
        #expect(PathPrediction(client: .none, agent: .none, guessesPorts: false).likelihood == .likely)
    }

    @Test func `with the bridge alone NATs do not matter`() throws {
        let report = AgentsReport(
            pattern: ".*", agents: [try self.agent("far", .udpBlocked)], count: 1,
            client: .init(observedAddress: "", serverIsLoopback: false, mapping: .udpBlocked, probe: nil),
            bridgeAlone: true)
        #expect(report.items.map(\.outcome) == [.ok, .ok])
        #expect(report.items.last?.finding == "far: over the bridge")
        #expect(CheckVerdict.bridgeAlone(isOffered: true).status == .done)
        #expect(CheckVerdict.bridgeAlone(isOffered: false).status == .unavailable)
    }

    @Test func `a long list of agents is cut`() throws {
        let agents = try (0..<25).map { try self.agent("a\($0)", .none) }
        let report = AgentsReport(
            pattern: ".*", agents: agents, count: 25,
            client: .init(observedAddress: "", serverIsLoopback: false, mapping: .none, probe: nil))
        #expect(report.items.count == 22)
        #expect(report.items.last?.finding == "and 5 more")
    }
}

@Suite struct `the verdict of --check` {
    private let likely = PathPrediction(client: .none, agent: .none)
    private let possible = PathPrediction(client: .none, agent: .unknown)
    private let unlikely = PathPrediction(client: .none, agent: .udpBlocked)

    @Test func `follows the best of the agents, for a client`() {
        let rows: [([PathPrediction], MappingBehavior, Bool, String, Int32)] = [
            ([], .none, true, "nothing will work until there is a matching agent", 69),
            ([self.likely, self.likely], .none, false, "direct paths are likely", 0),
            (
                [self.likely, self.unlikely], .none, true,
                "direct paths are likely to 1 of 2 agents; the server's bridge will carry the rest", 0
            ),
            (
                [self.possible], .none, false,
                "direct paths are possible, but not certain; there is no bridge to carry the rest", 0
            ),
            (
                [self.unlikely], .addressAndPortDependent, true,
                "direct paths are unlikely: your NAT is address-and-port-dependent; the server's bridge will carry the traffic",
                0
            ),
            (
                [self.unlikely], .udpBlocked, false,
                "nothing is likely to work: UDP is blocked on this side, and there is no bridge", 69
            ),
        ]
        for (predictions, mapping, bridge, text, status) in rows {
            let verdict = CheckVerdict.client(predictions, mapping: mapping, bridge: bridge)
            #expect(verdict.text == text)
            #expect(verdict.status.rawValue == status)
        }
    }

    @Test(arguments: [
        (MappingBehavior.none, false, Int32(0)), (.endpointIndependent, false, 0), (.portIndependent, true, 0),
        (.unknown, false, 0), (.addressDependent, false, 0), (.addressAndPortDependent, true, 0),
        (.udpBlocked, true, 0), (.udpBlocked, false, 69),
    ])
    func `is bad for an agent only if nobody can reach it`(mapping: MappingBehavior, bridge: Bool, status: Int32) {
        #expect(CheckVerdict.agent(mapping: mapping, bridge: bridge).status.rawValue == status)
    }

    @Test func `is bad if the server cannot be reached`() {
        #expect(CheckVerdict.refused.status == .refused)
        #expect(CheckVerdict.withoutServer("it is away").status == .unavailable)
        #expect(CheckVerdict.withoutServer("it is away").text == "nothing will work: it is away")
    }
}
