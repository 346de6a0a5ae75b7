import TestSupport
import Testing

/// Whose certificates the programs take without `--ca-cert`.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct TrustTests {
    private func launch(_ cluster: Cluster, _ environment: [String: String]) throws -> RunningProgram {
        try RunningProgram(
            "rtun-agent", [cluster.url, "--agent", "trust"],
            environment: environment.merging(["RTUN_SECRET": Cluster.secret]) { $1 })
    }

    @Test(arguments: SignalScheme.allCases)
    func `SSL_CERT_FILE names the authorities`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try self.launch(cluster, ["SSL_CERT_FILE": cluster.certificates.authority])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let stranger = try self.launch(cluster, [:])
        _ = try await stranger.logLine("the untrusted certificate") { $0.contains("not trusted") }
        await stopAll([cluster.server, agent, stranger])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a missing SSL_CERT_FILE ends a program with 69, naming the file`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try self.launch(cluster, ["SSL_CERT_FILE": "/no/such/file.pem"])
        #expect(try await agent.end() == .exit(69))
        #expect(agent.errors.text.contains("/no/such/file.pem"))
        await cluster.server.stop()
    }
}
