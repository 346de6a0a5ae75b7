import AppProto
import Basics
import HostNetwork
import Logging
import NIOCore
import NIOEmbedded
import Synchronization
import TLS
import TestSupport
import Testing

@testable import Signaling

/// The client's loop in virtual time, against a server in memory.
@Suite struct SignalClientCoreTests {
    /// Stands for the network and the server.
    private final class World: SignalConnector {
        let loop = EmbeddedEventLoop()
        let log = LogRecord()
        var attempts: [NIODeadline] = []
        var failure: SignalConnectError?
        var serverKey = testKey
        /// Nil: the handshake is left to the test.
        var welcome: ((Hello) -> Result<Welcome, Refusal>)? = { hello in
            .success(
                Welcome(
                    instanceID: hello.agent == nil ? nil : .random(), agentName: hello.agent?.name ?? "",
                    resumeToken: hello.agent == nil ? [] : [1, 2, 3], observedAddress: "", software: "s"))
        }
        var hellos: [Hello] = []
        var keys: [CertificateFingerprint?] = []
        /// The server says nothing by itself.
        var isSlow = false
        var connections: [SignalConnection] = []
        var links: [MemoryLink] = []
        /// The clients' ends of them.
        var nearLinks: [MemoryLink] = []
        var localAddress: SocketAddress?
        var remoteAddress: SocketAddress?
        var route: NetworkRoute?
        /// How long the machine has slept, which no timer notices.
        var sleep = TimeAmount.zero
        var age: TimeAmount { self.loop.now - .uptimeNanoseconds(0) + self.sleep }
        /// Attempts stay without an answer while this is set.
        var isStuck = false
        var stuck: [(Result<any SignalLink, SignalConnectError>) -> Void] = []
        /// The links of which was told that they carried nothing.
        var failedLinks: [MemoryLink] = []
        let connectionDelegate = RecordingConnectionDelegate()
        private var acceptors: [SignalAcceptor] = []

        struct Refusal: Error {
            let goodbye: Goodbye
        }

        func connect(
            on eventLoop: any EventLoop, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void
        ) {
            self.attempts.append(eventLoop.now)
            if let failure = self.failure {
                self.loop.assumeIsolated().execute { completion(.failure(failure)) }
                return
            }
            if self.isStuck {
                self.stuck.append(completion)
                return
            }
            let (near, far) = MemoryLink.pair(on: self.loop, binding: [UInt8](repeating: 4, count: 32))
            near.localAddress = self.localAddress
            near.remoteAddress = self.remoteAddress
            self.nearLinks.append(near)
            self.links.append(far)
            self.accept(far)
            self.loop.assumeIsolated().execute { completion(.success(near)) }
        }

        func linkFailed(_ link: any SignalLink) {
            if let link = link as? MemoryLink { self.failedLinks.append(link) }
        }

        private func accept(_ link: MemoryLink) {
            let acceptor = SignalAcceptor(link: link, secrets: AcceptedSecrets(self.serverKey), software: "s") {
                acceptor, outcome in
                guard case .success(let peer) = outcome, let welcome = self.welcome else { return }
                self.hellos.append(peer.hello)
                self.keys.append(peer.key?.fingerprint)
                switch welcome(peer.hello) {
                case .success(let welcome):
                    guard let connection = acceptor.welcome(welcome) else { return }
                    connection.delegate = self.connectionDelegate
                    connection.start()
                    self.connections.append(connection)
                case .failure(let refusal):
                    acceptor.refuse(refusal.goodbye)
                }
            }
            self.acceptors.append(acceptor)
            if !self.isSlow { acceptor.start() }
        }

        /// Lets the server speak at last.
        func startAcceptors() {
            for acceptor in self.acceptors { acceptor.start() }
        }

        func warnings(_ event: String? = "signal.failed") -> [LogRecord.Line] {
            self.log.lines.filter { $0.level == .warning && $0.event == event }
        }
    }

    private struct CannotRead: Error {}

    /// What a file of the secret brings, time after time.
    private final class SecretFile: Sendable {
        let contents: [Result<SharedKey?, any Error>]
        let reads = Mutex(0)

        init(_ contents: [Result<SharedKey?, any Error>]) { self.contents = contents }

        func read(on eventLoop: any EventLoop) -> EventLoopFuture<SharedKey?> {
            let index = self.reads.withLock { reads in
                defer { reads += 1 }
                return reads
            }
            return eventLoop.makeCompletedFuture(
                index < self.contents.count ? self.contents[index] : .failure(CannotRead()))
        }
    }

    private struct Fixture {
        let world = World()
        let core: SignalClientCore
        let delegate = RecordingClientDelegate()
        let promise: EventLoopPromise<SignalTerminal>
        let outcome = Outcome()

        final class Outcome {
            var terminal: SignalTerminal?
        }

        init(
            role: SignalClientConfiguration.Role = .agent(name: "a", expireIn: nil, labels: [:]),
            url: String = "https://server.example", key: SharedKey = testKey, insecure: Bool = false,
            quicInsecure: Bool = false, identity: ProcessIdentity? = nil, currentKey: SharedKey? = nil,
            secret: SecretFile? = nil,
            _ prepare: (World) -> Void = { _ in }
        ) throws {
            prepare(self.world)
            var configuration = SignalClientConfiguration(
                url: try ServerURL(parsing: url), role: role, key: key, software: "rtun-agent/1")
            configuration.httpsInsecure = insecure
            configuration.quicInsecure = quicInsecure
            configuration.identity = identity
            if let secret { configuration.currentKey = { secret.read(on: $0) } }
            if let currentKey {
                configuration.currentKey = { $0.makeSucceededFuture(currentKey) }
            }
            self.core = SignalClientCore(
                configuration: configuration, connector: self.world, eventLoop: self.world.loop,
                logger: self.world.log.logger, route: { [world] _ in world.route }, age: { [world] in world.age })
            self.core.delegate = self.delegate
            self.promise = self.world.loop.makePromise(of: SignalTerminal.self)
            let outcome = self.outcome
            self.promise.futureResult.assumeIsolated().whenSuccess { outcome.terminal = $0 }
            self.core.start(self.promise)
            self.world.loop.run()
        }

        func stop() {
            self.core.stop()
            self.world.loop.advanceTime(by: .milliseconds(50))
            #expect(self.outcome.terminal != nil)
        }
    }

    @Test(arguments: [false, true])
    func `whose secret is refused looks for another one, and goes on with that`(insecure: Bool) throws {
        let fixture = try Fixture(insecure: insecure, currentKey: otherKey) { $0.serverKey = otherKey }
        #expect(fixture.delegate.sessions.count == 1 && fixture.world.attempts.count == 2)
        #expect(fixture.world.attempts[0] == fixture.world.attempts[1])
        #expect(fixture.world.log.lines.contains { $0.event == "secret.reread" })
        fixture.stop()
    }

    @Test(
        arguments: [
            // What the file brings, time after time: a key, none, or an error; whether that ends it, and after how long.
            ([.success(testKey)], true, 0), ([.success(nil), .success(testKey)], true, 1),
            ([.success(nil), .success(otherKey)], false, 1),
            ([.failure(CannotRead()), .failure(CannotRead()), .success(otherKey)], false, 2),
            ([.success(nil), .failure(CannotRead()), .success(nil)], true, 2),
        ] as [([Result<SharedKey?, any Error>], Bool, Int64)])
    func `a file that cannot be read for a moment is read again, before that ends it`(
        contents: [Result<SharedKey?, any Error>], isOver: Bool, seconds: Int64
    ) throws {
        let file = SecretFile(contents)
        let fixture = try Fixture(secret: file) { $0.serverKey = otherKey }
        if seconds > 0 {
            fixture.world.loop.advanceTime(by: .seconds(seconds) - .milliseconds(1))
            #expect(fixture.outcome.terminal == nil && fixture.delegate.sessions.isEmpty)
            fixture.world.loop.advanceTime(by: .milliseconds(1))
        }
        #expect((fixture.outcome.terminal != nil) == isOver)
        #expect(fixture.delegate.sessions.count == (isOver ? 0 : 1))
        #expect(file.reads.withLock { $0 } == contents.count)
        if !isOver { fixture.stop() }
    }

    @Test func `the same secret ends it`() throws {
        let fixture = try Fixture(currentKey: testKey) { $0.serverKey = otherKey }
        guard case .refused = fixture.outcome.terminal else {
            Issue.record("\(String(describing: fixture.outcome.terminal))")
            return
        }
        #expect(fixture.world.attempts.count == 1)
    }

    @Test func `a session whose secret is withdrawn goes on with the next one`() throws {
        let fixture = try Fixture(currentKey: otherKey)
        fixture.world.serverKey = otherKey
        fixture.world.connections[0].close(Goodbye(code: .auth, reason: "the secret is no longer valid"))
        fixture.world.loop.advanceTime(by: .milliseconds(10))
        #expect(fixture.delegate.sessions.count == 2 && fixture.outcome.terminal == nil)
        // Once more, and there is nothing new.
        fixture.world.serverKey = SharedKey(derived: [UInt8](repeating: 9, count: 32))
        fixture.world.connections[1].close(Goodbye(code: .auth, reason: "the secret is no longer valid"))
        fixture.world.loop.advanceTime(by: .milliseconds(10))
        guard case .refused(let detail) = fixture.outcome.terminal else {
            Issue.record("\(String(describing: fixture.outcome.terminal))")
            return
        }
        #expect(detail.contains("the secret is no longer valid"))
    }

    @Test func `the first attempt is made at once, and its connection is told`() throws {
        let fixture = try Fixture()
        #expect(fixture.delegate.sessions.count == 1)
        #expect(fixture.core.session?.welcome.agentName == "a")
        #expect(fixture.world.log.lines.first?.event == "signal.connected")
        fixture.stop()
        #expect(fixture.outcome.terminal == .stopped)
        guard case .goodbye(let goodbye) = fixture.world.connectionDelegate.closed.first else {
            Issue.record("no goodbye")
            return
        }
        #expect(goodbye.code == .shutdown)
    }

    @Test(arguments: [
        ("http://server.example", false, false, ["http:// does not protect"]),
        ("http://192.0.2.1:8888/prefix", false, false, ["http:// does not protect"]),
        ("http://localhost", false, false, []), ("http://127.0.0.9:1", false, false, []),
        ("http://[::1]:1", false, false, []), ("http://sub.LOCALHOST", false, false, []),
        ("https://server.example", true, false, []), ("quic://server.example", false, true, []),
        ("https://server.example", true, true, ["--quic-insecure has no effect on https:// URLs"]),
        ("quic://server.example", true, false, ["--https-insecure has no effect on quic:// URLs"]),
        ("http://localhost", true, true, ["--https-insecure has no effect", "--quic-insecure has no effect"]),
    ])
    func `settings that need a warning get it once`(
        url: String, httpsInsecure: Bool, quicInsecure: Bool, expected: [String]
    ) throws {
        let fixture = try Fixture(url: url, insecure: httpsInsecure, quicInsecure: quicInsecure) {
            $0.failure = .timedOut(.connection)
        }
        fixture.world.loop.advanceTime(by: .minutes(10))
        let warnings = fixture.world.warnings(nil).map(\.message).filter { !$0.hasPrefix("no connection") }
        #expect(warnings.count == expected.count)
        for (warning, start) in zip(warnings, expected) { #expect(warning.hasPrefix(start)) }
        fixture.stop()
    }

    @Test func `requests go both ways`() throws {
        let fixture = try Fixture()
        fixture.world.connectionDelegate.answer = { $0.respond(.agentList(AgentList(agents: []))) }
        var answers = 0
        fixture.core.request(.listAgents(), timeout: .seconds(1)).assumeIsolated().whenSuccess { _ in answers += 1 }
        fixture.world.connections[0].request(.listAgents(), timeout: .seconds(1)).assumeIsolated().whenSuccess { _ in
            answers += 1
        }
        fixture.world.loop.run()
        #expect(answers == 2)
        fixture.stop()
    }

    @Test func `a lost connection comes back with the resume token of the last welcome`() throws {
        let fixture = try Fixture()
        fixture.world.loop.advanceTime(by: .seconds(6))
        fixture.world.connections[0].close()
        fixture.world.loop.run()
        #expect(fixture.delegate.losses == 1)
        #expect(fixture.core.session == nil)
        // The connection lived, so the first wait is at most 0.5 s.
        fixture.world.loop.advanceTime(by: .milliseconds(500))
        #expect(fixture.delegate.sessions.count == 2)
        #expect(fixture.world.hellos.map { $0.agent?.resumeToken } == [[], [1, 2, 3]])
        #expect(fixture.world.warnings("signal.lost").count == 1)
        fixture.stop()
    }

    @Test func `a missing server is retried indefinitely, and logged at once and every five minutes`() throws {
        let refused = SignalConnectError.unreachable([.init(address: "192.0.2.1:443", reason: "connection refused")])
        let fixture = try Fixture { $0.failure = refused }
        fixture.world.loop.advanceTime(by: .hours(1))
        #expect(fixture.world.attempts.count > 120)
        let waits = zip(fixture.world.attempts, fixture.world.attempts.dropFirst()).map { $1 - $0 }
        #expect(waits.allSatisfy { $0 <= .seconds(30) })
        // The first attempt after five minutes tells of it, and attempts are up to 30 s apart.
        let anHour = 10...12
        #expect(anHour.contains(fixture.world.warnings().count))
        #expect(fixture.world.warnings().count < fixture.world.attempts.count)
        let before = fixture.world.warnings().count
        #expect(fixture.world.warnings().first?.message == "no connection to the server: connection refused")
        let later = try #require(fixture.world.warnings().dropFirst().first)
        #expect(later.message.hasPrefix("no connection to the server for 5 min"))
        #expect(later.message.hasSuffix(": connection refused"))
        fixture.world.failure = .timedOut(.connection)
        fixture.world.loop.advanceTime(by: .hours(1))
        #expect(anHour.contains(fixture.world.warnings().count - before))
        fixture.world.failure = nil
        fixture.world.loop.advanceTime(by: .seconds(30))
        #expect(fixture.delegate.sessions.count == 1)
        let back = try #require(fixture.world.log.lines.last { $0.event == "signal.connected" })
        #expect(back.message.hasPrefix("connected to the server after 2 h"))
        fixture.stop()
    }

    @Test func `a server that is away is told of with the time, and so is its return`() throws {
        let fixture = try Fixture()
        fixture.world.failure = .unreachable([.init(address: "192.0.2.1:443", reason: "connection refused")])
        fixture.world.connections[0].close(Goodbye(code: .shutdown, reason: "the server is stopping"))
        fixture.world.loop.advanceTime(by: .minutes(11))
        let lost = try #require(fixture.world.warnings("signal.lost").first)
        #expect(lost.message == "lost the connection to the server: goodbye shutdown: the server is stopping")
        // Right behind the loss, and then in the sixth and the eleventh minute or so.
        let messages = fixture.world.warnings().map(\.message)
        #expect(messages.count == 3, "\(messages)")
        #expect(messages.first == "no connection to the server: connection refused")
        #expect(messages.dropFirst().allSatisfy { $0.hasPrefix("no connection to the server for ") })
        fixture.world.failure = nil
        fixture.world.loop.advanceTime(by: .seconds(31))
        let back = try #require(fixture.world.log.lines.last { $0.event == "signal.connected" })
        #expect(back.message.hasPrefix("connected to the server again after 11 min"))
        guard case .stringConvertible(let away) = back.metadata["away_s"] else {
            Issue.record("no number")
            return
        }
        #expect((660...700).contains(away as? Int64 ?? 0))
        fixture.stop()
    }

    @Test func `without a connection requests fail at once`() throws {
        let fixture = try Fixture { $0.failure = .timedOut(.connection) }
        var failed: (any Error)?
        fixture.core.request(.listAgents(), timeout: .seconds(1)).assumeIsolated().whenFailure { failed = $0 }
        guard case SignalError.notConnected? = failed else {
            Issue.record("\(String(describing: failed))")
            return
        }
        fixture.core.sendEvent(.ping)
        fixture.stop()
    }

    @Test(arguments: [false, true]) func `a wrong secret ends it at once`(insecure: Bool) throws {
        let fixture = try Fixture(key: otherKey, insecure: insecure)
        guard case .refused(let detail) = fixture.outcome.terminal else {
            Issue.record("\(String(describing: fixture.outcome.terminal))")
            return
        }
        #expect(detail.contains("secret is wrong"))
        #expect(detail.contains("man in the middle"))
        #expect(fixture.world.attempts.count == 1)
    }

    @Test func `a server that cannot prove the secret is refused`() throws {
        // It has the key for our proof, but not for its own: as if it had let anyone in.
        let fixture = try Fixture { world in
            world.welcome = nil
        }
        let link = fixture.world.links[0]
        let loop = fixture.world.loop
        var welcome = Welcome(instanceID: .random(), agentName: "a", observedAddress: "", software: "s")
        welcome.mac = [UInt8](repeating: 0, count: 32)
        link.send(Envelope(.welcome(welcome)).encoded())
        loop.run()
        guard case .refused(let detail) = fixture.outcome.terminal else {
            Issue.record("\(String(describing: fixture.outcome.terminal))")
            return
        }
        #expect(detail.contains("could not prove"))
        loop.advanceTime(by: .seconds(11))
    }

    @Test func `a server without binding is refused if its certificate is not checked`() throws {
        let fixture = try Fixture(insecure: true) { world in
            world.welcome = nil
        }
        fixture.stop()
        let (near, far) = MemoryLink.pair(on: fixture.world.loop)
        let handshake = ClientHandshake(
            key: testKey, transport: .uncheckedTLS(exporter: nil), agent: nil, identity: nil, software: "c")
        var failure: SignalInitiator.Failure?
        let initiator = SignalInitiator(link: near, handshake: { handshake }, timing: .init()) {
            if case .failure(let error) = $0 { failure = error }
        }
        initiator.start()
        SignalAcceptor(link: far, secrets: AcceptedSecrets(testKey), software: "s") { _, _ in }.start()
        fixture.world.loop.run()
        guard case .handshake(.bindingUnavailable) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
    }

    @Test func `a replaced agent ends`() throws {
        let fixture = try Fixture()
        fixture.world.connections[0].close(Goodbye(code: .replaced, reason: "newer"))
        fixture.world.loop.run()
        #expect(fixture.outcome.terminal == .replaced(name: "a"))
    }

    @Test(arguments: [GoodbyeCode.auth, .binding, .replaced, .expired], [false, true])
    func `a goodbye before the proof ends an agent that has run only if the server is known`(
        code: GoodbyeCode, insecure: Bool
    ) throws {
        let fixture = try Fixture(insecure: insecure)
        let welcome = fixture.world.welcome
        fixture.world.welcome = { _ in .failure(World.Refusal(goodbye: Goodbye(code: code, reason: "go"))) }
        fixture.world.links[0].lose(error: nil)
        fixture.world.loop.run()
        fixture.world.connections[0].close()
        fixture.world.loop.advanceTime(by: .seconds(60))
        #expect((fixture.outcome.terminal == nil) == insecure)
        guard insecure else { return }
        // Whoever sat in between is gone.
        fixture.world.welcome = welcome
        fixture.world.loop.advanceTime(by: .seconds(31))
        #expect(fixture.delegate.sessions.count == 2)
        fixture.stop()
    }

    @Test func `at the first attempt an unknown server cannot say that the agent is over`() throws {
        let fixture = try Fixture(insecure: true) { world in
            world.welcome = { _ in .failure(World.Refusal(goodbye: Goodbye(code: .expired, reason: ""))) }
        }
        #expect(fixture.outcome.terminal == nil)
        fixture.stop()
    }

    @Test(arguments: [GoodbyeCode.shutdown, .limit, .version, .badRequest, .unspecified])
    func `other goodbyes are retried`(code: GoodbyeCode) throws {
        let fixture = try Fixture()
        fixture.world.connections[0].close(Goodbye(code: code, reason: "later"))
        fixture.world.loop.run()
        #expect(fixture.outcome.terminal == nil)
        fixture.world.loop.advanceTime(by: .seconds(30))
        #expect(fixture.delegate.sessions.count == 2)
        fixture.stop()
    }

    @Test func `being turned away in the handshake is retried too`() throws {
        let fixture = try Fixture { world in
            world.welcome = { _ in .failure(World.Refusal(goodbye: Goodbye(code: .limit, reason: "come back later"))) }
        }
        #expect(fixture.outcome.terminal == nil)
        #expect(fixture.world.warnings().count == 1)
        fixture.world.loop.advanceTime(by: .minutes(25))
        #expect(fixture.world.attempts.count > 25)
        // Again every five minutes.
        #expect((4...6).contains(fixture.world.warnings().count))
        fixture.stop()
    }

    @Test func `a reconnecting agent asks for the time that remains`() throws {
        let fixture = try Fixture(role: .agent(name: "a", expireIn: .seconds(100), labels: [:]))
        fixture.world.loop.advanceTime(by: .seconds(40))
        fixture.world.connections[0].close()
        fixture.world.loop.advanceTime(by: .milliseconds(500))
        let asked = fixture.world.hellos.compactMap { $0.agent?.expireInMilliseconds }
        #expect(asked.count == 2)
        #expect(asked[0] == 100_000)
        #expect((59_400...60_000).contains(asked[1]))
        fixture.stop()
    }

    @Test func `an agent expires while the server is away`() throws {
        let fixture = try Fixture(role: .agent(name: "a", expireIn: .seconds(100), labels: [:]))
        fixture.world.failure = .timedOut(.connection)
        fixture.world.connections[0].close()
        fixture.world.loop.advanceTime(by: .seconds(99))
        #expect(fixture.outcome.terminal == nil)
        fixture.world.loop.advanceTime(by: .seconds(1))
        #expect(fixture.outcome.terminal == .expired(name: "a"))
    }

    @Test func `a connected agent leaves it to the server to say that it expired`() throws {
        let fixture = try Fixture(role: .agent(name: "a", expireIn: .seconds(10), labels: [:]))
        fixture.world.loop.advanceTime(by: .seconds(10))
        #expect(fixture.outcome.terminal == nil)
        fixture.world.connections[0].close(Goodbye(code: .expired))
        fixture.world.loop.run()
        #expect(fixture.outcome.terminal == .expired(name: "a"))
    }

    @Test func `the sleep of the machine counts, and an agent that has slept through its end is over`() throws {
        let fixture = try Fixture(role: .agent(name: "a", expireIn: .seconds(100), labels: [:]))
        fixture.world.sleep = .seconds(50)
        fixture.world.connections[0].close()
        fixture.world.loop.advanceTime(by: .milliseconds(500))
        let asked = fixture.world.hellos.compactMap { $0.agent?.expireInMilliseconds }
        #expect(asked.count == 2 && (49_500...50_000).contains(asked[1]), "\(asked)")
        fixture.world.sleep = .seconds(100)
        fixture.world.connections[1].close()
        fixture.world.loop.advanceTime(by: .milliseconds(1000))
        #expect(fixture.outcome.terminal == .expired(name: "a"))
        #expect(fixture.world.hellos.count == 2)
    }

    @Test func `an agent says how old it is, which process it is, and whether it has been taken before`() throws {
        let identity = try ProcessIdentity(commonName: "test")
        let fixture = try Fixture(identity: identity)
        fixture.world.sleep = .seconds(50)
        fixture.world.loop.advanceTime(by: .seconds(6))
        fixture.world.connections[0].close()
        fixture.world.loop.advanceTime(by: .milliseconds(500))
        let processes = fixture.world.hellos.compactMap { $0.agent?.process }
        #expect(processes.map(\.isReturning) == [false, true])
        #expect(Set(processes.map(\.nonce)).count == 1 && processes[0].nonce.count == 16)
        #expect(processes[0].aliveMilliseconds == 0)
        #expect((56_000...56_500).contains(processes[1].aliveMilliseconds))
        #expect(fixture.world.keys == [identity.fingerprint, identity.fingerprint])
        fixture.stop()
    }

    @Test func `the age is that of the moment at which the server speaks, which may let one wait`() throws {
        let fixture = try Fixture(identity: ProcessIdentity(commonName: "test")) { $0.isSlow = true }
        fixture.world.loop.advanceTime(by: .seconds(4))
        fixture.world.startAcceptors()
        fixture.world.loop.run()
        #expect(fixture.world.hellos.first?.agent?.process?.aliveMilliseconds == 4000)
        fixture.stop()
    }

    @Test(arguments: [false, true]) func `a name that another key holds ends the first attempt`(insecure: Bool) throws {
        let fixture = try Fixture(insecure: insecure) { world in
            world.welcome = { _ in .failure(World.Refusal(goodbye: Goodbye(code: .nameHeld, reason: "SHA256:x"))) }
        }
        guard case .refused(let detail) = fixture.outcome.terminal else {
            Issue.record("\(String(describing: fixture.outcome.terminal))")
            return
        }
        #expect(detail.contains("SHA256:x") && detail.contains("--agent") && detail.contains("--identity"))
    }

    @Test func `a dead link is noticed and replaced`() throws {
        let fixture = try Fixture()
        fixture.world.links[0].isSilent = true
        fixture.world.loop.advanceTime(by: .seconds(15))
        #expect(fixture.delegate.losses == 1)
        fixture.world.loop.advanceTime(by: .milliseconds(500))
        #expect(fixture.delegate.sessions.count == 2)
        fixture.stop()
        fixture.world.loop.advanceTime(by: .seconds(20))
    }

    @Test func `a link that carries no handshake is told of`() throws {
        let fixture = try Fixture { $0.isSlow = true }
        fixture.world.loop.advanceTime(by: Handshake.timeLimit)
        #expect(fixture.world.failedLinks.count == 1 && fixture.world.failedLinks[0] === fixture.world.nearLinks[0])
        fixture.world.loop.advanceTime(by: .milliseconds(500))
        #expect(fixture.world.nearLinks.count == 2)
        fixture.world.nearLinks[1].lose(error: nil)
        #expect(fixture.world.failedLinks.count == 2 && fixture.world.failedLinks[1] === fixture.world.nearLinks[1])
        fixture.stop()
    }

    @Test(arguments: [false, true]) func `a session that ends in silence is told of, one that ends otherwise is not`(
        isSilent: Bool
    ) throws {
        let fixture = try Fixture()
        if isSilent {
            fixture.world.links[0].isSilent = true
            fixture.world.loop.advanceTime(by: .seconds(15))
        } else {
            fixture.world.connections[0].close(Goodbye(code: .shutdown, reason: "later"))
            fixture.world.loop.run()
        }
        #expect(fixture.delegate.losses == 1)
        #expect(fixture.world.failedLinks.count == (isSilent ? 1 : 0))
        fixture.stop()
    }

    // MARK: Changes of the network

    private static func address(_ ip: String, port: Int = 0) throws -> SocketAddress {
        try SocketAddress(ipAddress: ip, port: port)
    }

    private static func state(_ addresses: String...) throws -> NetworkState {
        NetworkState(
            addresses: Set(try addresses.map { .init(interface: "eth0", address: try Self.address($0)) }))
    }

    /// A connection from 192.0.2.7, by way of 192.0.2.1.
    private func connectedFixture() throws -> Fixture {
        let fixture = try Fixture { world in
            world.localAddress = try? Self.address("192.0.2.7", port: 50_000)
            world.remoteAddress = try? Self.address("203.0.113.1", port: 443)
            world.route = NetworkRoute(interfaceIndex: 2, gateway: [192, 0, 2, 1])
        }
        #expect(fixture.delegate.sessions.count == 1)
        fixture.world.loop.advanceTime(by: .milliseconds(1))
        return fixture
    }

    @Test func `a connection whose address is gone is replaced at once`() throws {
        let fixture = try self.connectedFixture()
        fixture.core.networkChanged(
            AddressChange(before: try Self.state("192.0.2.7"), after: try Self.state("198.51.100.7")))
        #expect(fixture.delegate.losses == 1)
        #expect(fixture.world.nearLinks[0].isClosed)
        fixture.world.loop.run()
        #expect(fixture.delegate.sessions.count == 2)
        let lost = try #require(fixture.world.warnings("signal.lost").first)
        #expect(lost.metadata["reason"] == "the network has changed: the connection's address 192.0.2.7 is gone")
        #expect(lost.metadata["retry_in_ms"]?.description == "0")
        fixture.stop()
    }

    @Test func `a connection whose route has changed is replaced at once`() throws {
        let fixture = try self.connectedFixture()
        fixture.world.localAddress = try Self.address("198.51.100.7", port: 50_000)
        fixture.world.route = NetworkRoute(interfaceIndex: 3, gateway: [198, 51, 100, 1])
        let both = try Self.state("192.0.2.7", "198.51.100.7")
        fixture.core.networkChanged(AddressChange(before: try Self.state("192.0.2.7"), after: both))
        fixture.world.loop.run()
        #expect(fixture.delegate.sessions.count == 2)
        // That one goes the new way.
        fixture.world.loop.advanceTime(by: .seconds(1))
        fixture.core.networkChanged(AddressChange(before: both, after: try Self.state("198.51.100.7")))
        fixture.world.loop.advanceTime(by: .seconds(10))
        #expect(fixture.delegate.losses == 1)
        fixture.stop()
    }

    @Test(arguments: [false, true])
    func `a connection that the change does not concern is checked, and stays if it answers`(
        isWithoutRoute: Bool
    ) throws {
        let fixture = try self.connectedFixture()
        if isWithoutRoute { fixture.world.route = nil }
        fixture.core.networkChanged(
            AddressChange(before: try Self.state("192.0.2.7"), after: try Self.state("192.0.2.7", "198.51.100.7")))
        fixture.world.loop.advanceTime(by: .seconds(60))
        #expect(fixture.delegate.losses == 0)
        #expect(fixture.world.attempts.count == 1)
        fixture.stop()
    }

    @Test(arguments: [false, true])
    func `a connection that does not answer after a change or a standstill is replaced after 3 s`(
        isAfterStandstill: Bool
    ) throws {
        let fixture = try self.connectedFixture()
        fixture.world.links[0].isSilent = true
        let state = try Self.state("192.0.2.7")
        let after = try isAfterStandstill ? state : Self.state("192.0.2.7", "198.51.100.7")
        fixture.core.networkChanged(
            AddressChange(before: state, after: after, isAfterStandstill: isAfterStandstill))
        fixture.world.loop.advanceTime(by: .milliseconds(2999))
        #expect(fixture.delegate.losses == 0)
        fixture.world.loop.advanceTime(by: .milliseconds(1))
        #expect(fixture.delegate.losses == 1)
        fixture.world.loop.run()
        #expect(fixture.delegate.sessions.count == 2)
        fixture.stop()
        fixture.world.loop.advanceTime(by: .seconds(20))
    }

    @Test func `a change ends the wait for the next attempt`() throws {
        let fixture = try Fixture { $0.failure = .timedOut(.connection) }
        fixture.world.loop.advanceTime(by: .minutes(10))
        let attempts = fixture.world.attempts.count
        fixture.world.failure = nil
        fixture.core.networkChanged(AddressChange(before: try Self.state(), after: try Self.state("192.0.2.7")))
        fixture.world.loop.run()
        #expect(fixture.world.attempts.count == attempts + 1)
        #expect(fixture.delegate.sessions.count == 1)
        // The old timer is gone.
        fixture.world.loop.advanceTime(by: .minutes(1))
        #expect(fixture.world.attempts.count == attempts + 1)
        fixture.stop()
    }

    @Test func `an attempt that began before a change is started again, and its connection closed`() throws {
        let fixture = try Fixture { $0.isStuck = true }
        fixture.world.isStuck = false
        fixture.core.networkChanged(AddressChange(before: try Self.state(), after: try Self.state("192.0.2.7")))
        fixture.world.loop.run()
        #expect(fixture.delegate.sessions.count == 1)
        let (late, _) = MemoryLink.pair(on: fixture.world.loop)
        fixture.world.stuck[0](.success(late))
        #expect(late.isClosed)
        #expect(fixture.delegate.sessions.count == 1)
        fixture.stop()
    }

    @Test func `a handshake that began before a change is started again`() throws {
        let fixture = try Fixture { $0.welcome = nil }
        fixture.core.networkChanged(AddressChange(before: try Self.state(), after: try Self.state("192.0.2.7")))
        #expect(fixture.world.nearLinks[0].isClosed)
        #expect(fixture.world.attempts.count == 2)
        fixture.stop()
    }

    @Test func `a change after the end is ignored`() throws {
        let change = AddressChange(before: try Self.state(), after: try Self.state("192.0.2.7"))
        let fixture = try Fixture()
        fixture.stop()
        fixture.core.networkChanged(change)
        #expect(fixture.world.attempts.count == 1)
    }

    @Test func `the end waits until the server has taken the goodbye, within a second`() throws {
        let fixture = try Fixture()
        fixture.core.stop()
        #expect(fixture.outcome.terminal == nil)
        fixture.world.loop.run()
        #expect(fixture.outcome.terminal == .stopped)

        let unheard = try Fixture()
        unheard.world.nearLinks[0].isSilent = true
        let farewell = unheard.core.stop()
        unheard.world.loop.advanceTime(by: SignalLinkLimits.closeTimeout - .nanoseconds(1))
        #expect(unheard.outcome.terminal == nil)
        unheard.world.loop.advanceTime(by: .nanoseconds(1))
        #expect(unheard.outcome.terminal == .stopped)
        var isOver = false
        farewell.assumeIsolated().whenSuccess { isOver = true }
        #expect(isOver)
    }

    @Test func `stopping before the start is allowed`() throws {
        let world = World()
        let core = SignalClientCore(
            configuration: SignalClientConfiguration(
                url: try ServerURL(parsing: "http://h"), role: .client, key: testKey, software: "c"),
            connector: world, eventLoop: world.loop, logger: world.log.logger)
        core.stop()
        let promise = world.loop.makePromise(of: SignalTerminal.self)
        core.start(promise)
        var terminal: SignalTerminal?
        promise.futureResult.assumeIsolated().whenSuccess { terminal = $0 }
        #expect(terminal == .stopped)
        #expect(world.attempts.isEmpty)
    }

    @Test func `waits are random below a bound that doubles to 30 s`() {
        var generator = CountingGenerator(value: 11)
        var backoff = ReconnectBackoff()
        let bounds: [Int64] = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]
        for bound in bounds {
            #expect(backoff.next(using: &generator) <= .milliseconds(bound))
        }
        backoff.reset()
        #expect(backoff.next(using: &generator) <= .milliseconds(500))
    }
}
