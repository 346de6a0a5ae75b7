import Foundation
import TestSupport
import Testing

/// `--check` against real servers, and what agents tell of their NATs.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct CheckTests {
    /// Runs a program with `--check` to its end: its exit code and what it printed.
    private func check(
        _ program: String, _ url: String, _ options: [String] = [], secret: String = Cluster.secret,
        within limit: Duration = .seconds(16)
    ) async throws -> (ending: RunningProgram.Ending, lines: [String], errors: String) {
        let program = try RunningProgram(
            program, [url, "--check"] + options, environment: ["RTUN_SECRET": secret])
        let ending = try await program.end(within: limit)
        return (ending, program.output.lines, program.errors.text)
    }

    /// The line of a subject, without its columns' spaces.
    private func finding(_ subject: String, in lines: [String]) throws -> String {
        let line = try #require(
            lines.first { $0.split(separator: " ").dropFirst().first.map(String.init) == subject }, "\(lines)")
        return line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }

    /// Waits until the list shows what the agent has found out about its NAT.
    private func agentThatKnowsItsNAT(_ name: String, in cluster: Cluster) async throws -> RunningProgram {
        let agent = try await cluster.agent(name).program
        _ = try await agent.logLine("the NAT's behaviour") { $0.contains("event=nat.mapping") }
        try await eventually(within: .seconds(5), "the agent's NAT in the list") {
            let list = try cluster.launchSocks(options: ["--list-agents"])
            guard try await list.end() == .exit(0) else { return false }
            return list.output.lines.contains { $0.hasPrefix("\(name) ") && $0.contains(" no-nat ") }
        }
        return agent
    }

    @Test(arguments: SignalScheme.allCases)
    func `with server and agent in place everything is ok, and nothing is disturbed`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await self.agentThatKnowsItsNAT("egress", in: cluster)
        let authority = ["--ca-cert", cluster.certificates.authority]
        for program in ["rtun-socks", "rtun-relay"] {
            let (ending, lines, errors) = try await self.check(program, cluster.url, authority + ["--agent", "e.*"])
            #expect(ending == .exit(0), "\(lines) \(errors)")
            #expect(lines.first == "\(program) checks \(cluster.url)")
            #expect(lines.last == "direct paths are likely")
            #expect(try self.finding("name", in: lines).hasPrefix("ok name localhost is "))
            #expect(try self.finding("signalling", in: lines).contains("certificate verified"))
            #expect(try self.finding("secret", in: lines).hasPrefix("ok secret accepted by rtun-server/"))
            #expect(try self.finding("clock", in: lines).hasPrefix("ok clock "))
            // The main port, and the second one.
            #expect(lines.filter { $0.contains(" sees this machine as 127.0.0.1:") }.count == 2)
            #expect(try self.finding("mapping", in: lines).hasPrefix("ok mapping no NAT"))
            #expect(try self.finding("UDP", in: lines).hasPrefix("ok UDP"))
            #expect(try self.finding("addresses", in: lines).contains("IPv4: 127.0.0.1"))
            #expect(try self.finding("agents", in: lines) == "ok agents 1 of 1 registered match e.*")
            #expect(
                try self.finding("agent", in: lines).hasPrefix("ok agent egress: NAT no-nat; a direct path is likely"))
            #expect(errors.isEmpty)
        }
        // The same name as that of the agent that runs.
        let (ending, lines, errors) = try await self.check(
            "rtun-agent", cluster.url, authority + ["--agent", "egress"])
        #expect(ending == .exit(0), "\(lines) \(errors)")
        #expect(lines.last == "direct paths are likely")
        #expect(try self.finding("agent", in: lines).hasPrefix("ok agent egress is registered, from 127.0.0.1:"))
        #expect(agent.isRunning)
        #expect(!agent.errors.text.contains("signal.lost"))
        await stopAll([cluster.server, agent])
    }

    @Test func `a wrong secret is refused with 77, and UDP is tested all the same`() async throws {
        let cluster = try await Cluster(.https)
        for program in ["rtun-socks", "rtun-agent"] {
            let (ending, lines, _) = try await self.check(
                program, cluster.url, ["--ca-cert", cluster.certificates.authority], secret: "another secret")
            #expect(ending == .exit(77))
            #expect(try self.finding("secret", in: lines).hasPrefix("failed secret refused by "))
            #expect(try self.finding("UDP", in: lines).hasPrefix("ok UDP"))
            #expect(lines.last == "nothing will work: the secret is refused")
            #expect(!lines.joined().contains("another secret"))
        }
        await stopAll([cluster.server])
    }

    @Test(arguments: ["https", "quic"])
    func `a missing server is reported in time`(scheme: String) async throws {
        let cluster = try await Cluster(.https)
        await cluster.server.kill9()
        let (ending, lines, _) = try await self.check("rtun-socks", "\(scheme)://127.0.0.1:\(cluster.port)")
        #expect(ending == .exit(69))
        #expect(try self.finding("signalling", in: lines).hasPrefix("failed signalling "))
        #expect(lines.contains { $0.contains("-> check that rtun-server runs there") })
        #expect(lines.last == "nothing will work: the server cannot be reached")
    }

    @Test func `a server that accepts and stays silent is given up in time`() async throws {
        let silent = try TCPService { connection in _ = try connection.receiveToEnd() }
        let (ending, lines, _) = try await self.check("rtun-agent", "https://127.0.0.1:\(silent.port)")
        #expect(ending == .exit(69))
        #expect(lines.last == "nothing will work: the server was reached, but does not finish the handshake")
    }

    @Test func `an unknown name and an untrusted certificate are reported as such`() async throws {
        let unknown = try await self.check("rtun-socks", "https://rtun.invalid:8888")
        #expect(unknown.ending == .exit(69))
        #expect(try self.finding("name", in: unknown.lines).hasPrefix("failed name "))

        let cluster = try await Cluster(.https)
        let untrusted = try await self.check("rtun-socks", cluster.url)
        #expect(untrusted.ending == .exit(69))
        #expect(try self.finding("signalling", in: untrusted.lines).contains("not trusted"))
        #expect(untrusted.lines.contains { $0.contains("--ca-cert FILE") })

        // Without agents a client has nothing to use; an agent needs none.
        let authority = ["--ca-cert", cluster.certificates.authority]
        let lonely = try await self.check("rtun-relay", cluster.url, authority)
        #expect(lonely.ending == .exit(69))
        #expect(try self.finding("agents", in: lonely.lines) == "failed agents none of 0 registered match .*")
        #expect(lonely.lines.last == "nothing will work until there is a matching agent")
        let agent = try await self.check("rtun-agent", cluster.url, authority + ["--agent", "first"])
        #expect(agent.ending == .exit(0))
        #expect(try self.finding("agent", in: agent.lines) == "ok agent nobody is registered as first")
        await stopAll([cluster.server])
    }

    @Test func `a second STUN port that is taken is an error when it was asked for`() async throws {
        let taken = try DatagramSocket()
        let environment = ["RTUN_SECRET": Cluster.secret]
        let rows: [(options: [String], code: Int32, word: String)] = [
            (["--stun-port", "\(taken.port)"], 69, "127.0.0.1:\(taken.port): address already in use"),
            (["--stun-addr", "203.0.113.77"], 69, "203.0.113.77"),
            (["--stun-port", "none"], 64, "--stun-port"),
            (["--stun-addr", "localhost"], 64, "--stun-addr"),
            (["--stun-addr", "0.0.0.0"], 64, "--stun-addr"),
        ]
        for row in rows {
            let server = try RunningProgram(
                "rtun-server", ["--addr", "127.0.0.1:0"] + row.options, environment: environment)
            #expect(try await server.end() == .exit(row.code), "\(row.options)")
            #expect(server.errors.text.contains(row.word), "\(row.options): \(server.errors.text)")
            #expect(server.output.lines.isEmpty)
        }
        withExtendedLifetime(taken) {}
    }
}
