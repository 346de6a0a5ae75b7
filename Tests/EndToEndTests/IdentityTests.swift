import AppProto
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Signaling

/// Who a process is: its key, its instance id, its name, and what somebody else with the secret gets of them.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct IdentityTests {
    // MARK: The takeover

    /// Somebody who has the secret, and no key, asks for a name with a token of his own making.
    private func steal(
        _ name: String, _ instance: InstanceID, from cluster: Cluster
    ) async throws -> Result<Welcome, SignalInitiator.Failure> {
        let key = try SharedKey(secret: Array(Cluster.secret.utf8))
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: cluster.url), role: .agent(name: name, expireIn: nil, labels: [:]), key: key,
            software: "thief/1")
        configuration.certificateAuthorityFile = cluster.certificates.authority
        let connector = try configuration.connector()
        let token = ResumeToken(
            instanceID: instance, createdAtMilliseconds: UInt64(Date().timeIntervalSince1970 * 1000) + 60_000,
            expireAtMilliseconds: 0
        ).sealed(name: name, with: key.serverKey)
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = eventLoop.makePromise(of: Result<Welcome, SignalInitiator.Failure>.self)
        eventLoop.execute {
            connector.connect(on: eventLoop) { result in
                let link: any SignalLink
                switch result {
                case .success(let made): link = made
                case .failure(let error): return promise.fail(error)
                }
                let initiator = SignalInitiator(
                    link: link,
                    handshake: {
                        ClientHandshake(
                            key: key, transport: .verifiedTLS(exporter: link.channelBinding),
                            agent: AgentRegistration(name: name, resumeToken: token), identity: nil,
                            software: "thief/1")
                    }, timing: .init()
                ) { outcome in
                    // The link stays: the name is to be his for a while.
                    promise.succeed(outcome.map(\.1))
                }
                initiator.start()
            }
        }
        return try await promise.futureResult.get()
    }

    @Test(arguments: SignalScheme.allCases)
    func `nobody gets the instance of an agent with a token for it, be the agent there or away`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let (agent, instance) = try await cluster.agent("office")
        let victim = try #require(InstanceID(rawValue: instance))
        for isAway in [false, true] {
            if isAway {
                await agent.kill9()
                _ = try await cluster.server.logLine(within: .seconds(20), "the agent's end") {
                    $0.contains("event=agent.gone")
                }
            }
            switch try await self.steal("office", victim, from: cluster) {
            case .success(let welcome):
                #expect(welcome.instanceID != victim, "the instance is taken over")
                // The name is free for whoever has the secret while the agent is away.
                #expect(isAway)
            case .failure(.handshake(.refused(let goodbye))):
                #expect(!isAway && goodbye.code == .replaced)
                #expect(try await self.list(cluster).contains { $0.contains(instance) })
            case .failure(let failure):
                Issue.record("\(failure)")
            }
        }
        await stopAll([cluster.server, agent])
    }

    // MARK: Names and ids

    /// The lines of `--list-agents`.
    private func list(_ cluster: Cluster) async throws -> [String] {
        let program = try cluster.launchSocks(options: ["--list-agents"])
        #expect(try await program.end() == .exit(0))
        return program.output.lines
    }

    /// What a program says of its key.
    private func printedIdentity(_ program: String, _ options: [String]) async throws -> String {
        let program = try RunningProgram(program, ["--print-identity"] + options)
        #expect(try await program.end() == .exit(0))
        #expect(program.output.lines.count == 1)
        return try #require(program.output.lines.first)
    }

    @Test(arguments: SignalScheme.allCases)
    func `a key that is kept holds its name against others, and its next process takes it over`(
        scheme: SignalScheme
    ) async throws {
        let cluster = try await Cluster(scheme)
        let file = cluster.folder.file("identity.pem")
        let (first, firstInstance) = try await cluster.agent("office", options: ["--identity", file])
        let fingerprint = try await self.printedIdentity("rtun-agent", ["--identity", file])
        #expect(fingerprint.hasPrefix("SHA256:") && fingerprint.utf8.count == 50)
        let line = try #require(try await self.list(cluster).first { $0.hasPrefix("office ") })
        #expect(line.contains(fingerprint) && line.contains(firstInstance))

        let other = try cluster.launchAgent("office")
        #expect(try await other.end() == .exit(77))
        #expect(other.errors.text.contains(fingerprint))
        _ = try await cluster.server.logLine("the refusal") {
            $0.contains("event=auth.failed") && $0.contains("reason=name_not_yours") && $0.contains("agent=office")
        }

        let (second, secondInstance) = try await cluster.agent("office", options: ["--identity", file])
        #expect(try await first.end() == .exit(75))
        #expect(firstInstance != secondInstance)

        // The name is the key's for as long as it is registered.
        second.signal(SIGTERM)
        #expect(try await second.end() == .exit(0))
        let (third, _) = try await cluster.agent("office")
        await stopAll([cluster.server, third])
    }

    @Test(arguments: SignalScheme.allCases)
    func `an agent has its instance back from a server that has kept nothing`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let (agent, instance) = try await cluster.agent("office")
        await cluster.server.kill9()
        let server = try await cluster.relaunchServer()
        _ = try await server.logLine("the agent") {
            $0.contains("event=agent.registered") && $0.contains("agent is back") && $0.contains("instance=\(instance)")
        }
        await stopAll([server, agent])
    }

    @Test func `the end of a registration is the same at a server that has kept nothing`() async throws {
        let cluster = try await Cluster(.https)
        let began = ContinuousClock.now
        let (agent, _) = try await cluster.agent("office", options: ["--expire-in", "6s"])
        try await ContinuousClock().sleep(for: .seconds(2))
        await cluster.server.kill9()
        let server = try await cluster.relaunchServer()
        #expect(try await agent.end() == .exit(0))
        let time = ContinuousClock.now - began
        #expect(time > .seconds(5) && time < .seconds(9), "\(time)")
        await stopAll([server])
    }

    // MARK: --print-identity, --identity

    @Test(arguments: ["rtun-agent", "rtun-socks", "rtun-relay"])
    func `the identity is printed without URL and secret, and its file is made`(program: String) async throws {
        let folder = try TestFolder()
        let file = folder.file("identity.pem")
        let first = try await self.printedIdentity(program, ["--identity", file])
        #expect(try await self.printedIdentity(program, ["--identity=\(file)"]) == first)
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)
        // Another key each time.
        let fleeting = try await self.printedIdentity(program, [])
        #expect(try await self.printedIdentity(program, []) != fleeting)
    }

    @Test func `the server's identity is that of its certificate`() async throws {
        let folder = try TestFolder()
        let certificates = try await TestCertificates(in: folder)
        let options = ["--https-cert", certificates.certificate, "--https-key", certificates.key]
        let printed = try await self.printedIdentity("rtun-server", options)
        let digest = try await ShellCommand.run(
            "openssl x509 -in '\(certificates.certificate)' -outform DER | openssl dgst -sha256 -binary | base64")
        #expect("SHA256:" + digest.trimmingCharacters(in: ["\n", "="]) == printed)
    }

    @Test(arguments: ["rtun-agent", "rtun-socks", "rtun-relay"])
    func `a file that others can read is refused with 78 and what mends it`(program: String) async throws {
        let folder = try TestFolder()
        let file = folder.file("identity.pem")
        _ = try await self.printedIdentity(program, ["--identity", file])
        #expect(chmod(file, 0o644) == 0)
        let rule = program == "rtun-relay" ? ["-L", "127.0.0.1:0?to=127.0.0.1:9"] : []
        for options in [["--print-identity"], rule + ["http://127.0.0.1:1", "--secret", "x"]] {
            let refused = try RunningProgram(program, options + ["--identity", file])
            #expect(try await refused.end() == .exit(78))
            #expect(refused.errors.text.contains("chmod 600 \(file)"))
        }
    }

    @Test func `a place where no file can be made is told with 69, a misspelt option with 64`() async throws {
        let folder = try TestFolder()
        let missing = try RunningProgram("rtun-agent", ["--print-identity", "--identity", folder.file("no/file")])
        #expect(try await missing.end() == .exit(69))
        #expect(missing.errors.text.contains("no such file or directory"))
        let misspelt = try RunningProgram("rtun-agent", ["--print-identity", "--idenity", "x"])
        #expect(try await misspelt.end() == .exit(64))
    }
}
