import AppProto
import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import Signaling

/// `rtun-server --authorized-keys`: who gets in, who sees and reaches whom, and what ends when a line goes.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct AuthorizedKeysTests {
    /// A server with a list of keys, and programs with kept ones.
    private struct Place {
        let folder: TestFolder
        let cluster: Cluster

        init(_ scheme: SignalScheme, options: [String] = []) async throws {
            self.folder = try TestFolder()
            try self.folder.write("keys", "# nobody\n")
            self.cluster = try await Cluster(
                scheme, serverOptions: ["--authorized-keys", self.folder.file("keys")] + options)
        }

        /// The fingerprint of the key that the program with this name has.
        func key(_ name: String) async throws -> String {
            let program = try RunningProgram("rtun-agent", ["--print-identity"] + self.identity(name))
            #expect(try await program.end() == .exit(0))
            return try #require(program.output.lines.first)
        }

        /// The answer to `/pub/sessions` with a token that is made with these options and the secret.
        func sessions(options: [String]) async throws -> String {
            let token = try RunningProgram(
                "rtun-server", options + ["--print-sessions-token", "1h"], environment: ["RTUN_SECRET": Cluster.secret])
            #expect(try await token.end() == .exit(0))
            return try await ShellCommand.run(
                "curl -s --cacert '\(self.cluster.certificates.authority)' "
                    + "-H 'Authorization: Bearer \(token.output.lines[0])' "
                    + "https://localhost:\(self.cluster.port)/pub/sessions")
        }

        func identity(_ name: String) -> [String] { ["--identity", self.folder.file("\(name).pem")] }

        /// What the file is to say: `office` stands for the key of the program with that name.
        func lines(_ rules: [String]) async throws -> String {
            var text = ""
            for rule in rules {
                var words = rule.split(separator: " ").map(String.init)
                let place = words[0] == "agent" ? 2 : 1
                words[place] = try await self.key(words[place])
                text += words.joined(separator: " ") + "\n"
            }
            return text
        }

        /// Has the server read other rules now.
        func list(_ rules: String..., at server: RunningProgram? = nil) async throws {
            try await self.list(text: try await self.lines(rules), at: server)
        }

        func list(text: String, at server: RunningProgram? = nil) async throws {
            let server = server ?? self.cluster.server
            let known = server.errors.lines.count
            try self.folder.write("keys", text)
            server.signal(SIGHUP)
            _ = try await server.logLine("the new keys", from: known) { $0.contains("event=keys.reload") }
        }

        func agent(_ name: String, options: [String] = []) async throws -> RunningProgram {
            try await self.cluster.agent(name, options: self.identity(name) + options).program
        }

        func socks(_ name: String, options: [String] = []) async throws -> (program: RunningProgram, port: Int) {
            try await self.cluster.socks(options: self.identity(name) + options)
        }

        /// The names in a client's list.
        func names(_ client: String) async throws -> [String] {
            let program = try self.cluster.launchSocks(options: self.identity(client) + ["--list-agents"])
            #expect(try await program.end() == .exit(0), "\(program.errors.text)")
            return program.output.lines.dropFirst().compactMap { $0.split(separator: " ").first.map(String.init) }
        }
    }

    /// A connection through a proxy to an echo, over which bytes go back and forth until it ends.
    private final class Transfer: Sendable {
        private struct State {
            var rounds = 0
            var clientEnded = false
            var targetEnded = false
        }

        private final class Shared: Sendable {
            let state = Mutex(State())
        }

        private let shared = Shared()

        init(through proxy: Int) async throws {
            let shared = self.shared
            let echo = try TCPService { connection in
                while let bytes = try? connection.receive(), !bytes.isEmpty, (try? connection.send(bytes)) != nil {}
                shared.state.withLock { $0.targetEnded = true }
            }
            let connection = try await SOCKSTestClient.connect5(proxy: proxy, port: echo.port)
            let thread = Thread {
                let bytes = [UInt8](repeating: 7, count: 1000)
                while (try? connection.send(bytes)) != nil, (try? connection.receive(exactly: bytes.count)) != nil {
                    shared.state.withLock { $0.rounds += 1 }
                    Thread.sleep(forTimeInterval: 0.005)
                }
                shared.state.withLock { $0.clientEnded = true }
                withExtendedLifetime(echo) {}
            }
            thread.start()
            try await self.expectGoingOn()
        }

        /// Sees bytes arrive that were sent from now on.
        func expectGoingOn() async throws {
            let before = self.shared.state.withLock { $0.rounds }
            try await eventually(within: .seconds(5), "bytes that come back") { [shared] in
                shared.state.withLock { $0.rounds > before + 20 }
            }
        }

        /// At the client's and at the target's end.
        var hasEnded: (client: Bool, target: Bool) { self.shared.state.withLock { ($0.clientEnded, $0.targetEnded) } }
    }

    // MARK: Who gets in

    @Test(arguments: SignalScheme.allCases)
    func `an unlisted key ends its program with 77, and the line that is told lets it in`(
        scheme: SignalScheme
    ) async throws {
        let place = try await Place(scheme)
        let server = place.cluster.server
        var listed = ""
        // A program that nobody holds ends.
        var running: [RunningProgram] = []
        for (name, launch) in [
            ("office", { try place.cluster.launchAgent("office", options: $0) }),
            ("laptop", { try place.cluster.launchSocks(options: $0) }),
            ("edge", { try place.cluster.launchRelay(["127.0.0.1:0?to=127.0.0.1:9"], options: $0) }),
            ("lister", { try place.cluster.launchSocks(options: ["--list-agents"] + $0) }),
        ] as [(String, ([String]) throws -> RunningProgram)] {
            let key = try await place.key(name)
            let refused = try launch(place.identity(name))
            #expect(try await refused.end() == .exit(77))
            let line = (name == "office" ? "agent office " : "client ") + key
            #expect(refused.errors.text.contains("--authorized-keys") && refused.errors.text.contains("\"\(line)\""))
            #expect(refused.output.lines.allSatisfy { !$0.contains("agent ready") })
            _ = try await server.logLine("the refusal") {
                $0.contains("event=auth.failed") && $0.contains("reason=key_unknown") && $0.contains("key=\(key)")
                    && $0.contains("remote=127.0.0.1:") && $0.contains("advice=\"this line would let it in: \(line)\"")
            }
            listed += line + "\n"
            try await place.list(text: listed)
            let program = try launch(place.identity(name))
            running.append(program)
            if name == "lister" {
                #expect(try await program.end() == .exit(0))
                #expect(program.output.lines.last?.contains("(listed)") == true)
            } else {
                _ = try await program.logLine("the connection") { $0.contains("event=signal.connected") }
                try await ContinuousClock().sleep(for: .milliseconds(300))
                #expect(program.isRunning)
            }
        }
        await stopAll([server] + running)
    }

    @Test(arguments: SignalScheme.allCases)
    func `a key gets only the name that it is listed for`(scheme: SignalScheme) async throws {
        let place = try await Place(scheme)
        try await place.list("agent home office", "client office")
        let agent = try place.cluster.launchAgent("office", options: place.identity("office"))
        #expect(try await agent.end() == .exit(77))
        let key = try await place.key("office")
        #expect(agent.errors.text.contains("as home, and not as office") && agent.errors.text.contains(key))
        _ = try await place.cluster.server.logLine("the refusal") {
            $0.contains("event=auth.failed") && $0.contains("reason=name_not_yours") && $0.contains("agent=office")
        }
        await place.cluster.server.stop()
    }

    /// What somebody is told who knows the secret and proves no key, as programs before 0.13.
    private func greet(_ cluster: Cluster, as name: String?) async throws -> Goodbye? {
        let key = try SharedKey(secret: Array(Cluster.secret.utf8))
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: cluster.url),
            role: name.map { .agent(name: $0, expireIn: nil, labels: [:]) } ?? .client, key: key, software: "old/0.12")
        configuration.certificateAuthorityFile = cluster.certificates.authority
        let group = MultiThreadedEventLoopGroup.singleton
        let client = try SignalClient(
            configuration: configuration, eventLoop: group.next(), addressMonitor: nil,
            logger: Logger(label: "old") { _ in SwiftLogNoOpLogHandler() })
        guard case .refused(let detail) = await client.run() else { return nil }
        return Goodbye(code: .auth, reason: detail)
    }

    @Test(arguments: SignalScheme.allCases, [nil, "office"])
    func `who proves no key is refused as for a wrong secret, and told what it takes`(
        scheme: SignalScheme, name: String?
    ) async throws {
        let place = try await Place(scheme)
        let goodbye = try await within(.seconds(10), "the refusal") { try await self.greet(place.cluster, as: name) }
        #expect(goodbye?.reason.contains("it takes version 0.13 or later") == true)
        _ = try await place.cluster.server.logLine("the refusal") {
            $0.contains("event=auth.failed") && $0.contains("reason=without_identity")
        }
        await place.cluster.server.stop()
    }

    @Test func `a check shows the own key and, when it is unknown, the line that is missing`() async throws {
        let place = try await Place(.https)
        let options = ["--check", "--ca-cert", place.cluster.certificates.authority]
        let environment = ["RTUN_SECRET": Cluster.secret]
        for (program, arguments, name, line) in [
            ("rtun-agent", ["--agent", "office"], "office", "agent office "), ("rtun-socks", [], "laptop", "client "),
        ] {
            let key = try await place.key(name)
            let all = [place.cluster.url] + options + arguments + place.identity(name)
            let refused = try RunningProgram(program, all, environment: environment)
            #expect(try await refused.end(within: .seconds(16)) == .exit(77))
            #expect(refused.output.text.contains("\(key), kept in a file"))
            #expect(refused.output.text.contains("\"\(line)\(key)\""), "\(refused.output.text)")
            #expect(refused.output.lines.last == "nothing will work: the server does not let this key in")
            try await place.list(text: "agent office \(try await place.key("office"))\n\(line)\(key)\n")
            let accepted = try RunningProgram(program, all, environment: environment)
            let ending = try await accepted.end(within: .seconds(16))
            // A client has nothing to connect to as long as there is no agent.
            #expect(ending == .exit(program == "rtun-agent" ? 0 : 69), "\(accepted.output.text)")
            #expect(!accepted.output.text.contains("authorized-keys"))
            try await place.list(text: "")
        }
        await place.cluster.server.stop()
    }

    // MARK: Who sees whom

    @Test(arguments: SignalScheme.allCases)
    func `a client sees and reaches its agents alone`(scheme: SignalScheme) async throws {
        let state = try TestFolder()
        let own = ["--state-dir", state.file("state")]
        let place = try await Place(scheme, options: own)
        try await place.list(
            "agent office office", "agent home home", "client laptop agents=home", "client desk",
            "client guest agents=x")
        let agents = [try await place.agent("office"), try await place.agent("home")]
        #expect(try await place.names("desk") == ["home", "office"])
        #expect(try await place.names("laptop") == ["home"])
        #expect(try await place.names("guest") == [])
        let blind = try await place.socks("laptop", options: ["--agent", "office"])
        let line = try await blind.program.logLine("that there is none") { $0.contains("event=agent.none") }
        #expect(!line.contains("names=office"))
        let (seeing, port) = try await place.socks("laptop")
        let transfer = try await Transfer(through: port)
        #expect(seeing.errors.text.contains("agent=home") && !seeing.errors.text.contains("office"))
        // Who runs the server may read all; who knows a secret and is in no list may not.
        let sessions = try await place.sessions(options: own)
        #expect(sessions.contains("\"name\":\"office\"") && sessions.contains("\"key_listed\":true"))
        #expect(!(try await place.sessions(options: [])).contains("office"))
        try await transfer.expectGoingOn()
        await stopAll([place.cluster.server, seeing, blind.program] + agents)
    }

    // MARK: A line goes

    /// Waits for the end of a transfer at both ends.
    private func expectEnd(of transfer: Transfer) async throws {
        try await eventually(within: .seconds(5), "the end of the transfer at both ends") {
            transfer.hasEnded == (true, true)
        }
    }

    @Test(arguments: SignalScheme.allCases, ["direct", "bridge"])
    func `a client's line goes in the middle of a transfer, which ends; others go on`(
        scheme: SignalScheme, mode: String
    ) async throws {
        let place = try await Place(scheme)
        try await place.list("agent office office", "client laptop", "client desk")
        let agent = try await place.agent("office", options: ["--p2p", mode])
        let laptop = try await place.socks("laptop", options: ["--p2p", mode])
        let desk = try await place.socks("desk", options: ["--p2p", mode])
        let ending = try await Transfer(through: laptop.port)
        let other = try await Transfer(through: desk.port)
        try await place.list("agent office office", "client desk")
        try await self.expectEnd(of: ending)
        #expect(try await laptop.program.end() == .exit(77))
        #expect(laptop.program.errors.text.contains("\"client \(try await place.key("laptop"))\""))
        try await other.expectGoingOn()
        #expect(desk.program.isRunning && agent.isRunning && other.hasEnded == (false, false))
        #expect(!agent.errors.text.contains("event=signal.lost"))
        let closed = try await place.cluster.server.logLine("the closed session") {
            $0.contains("event=session.closed") && $0.contains("reason=key_gone")
        }
        #expect(closed.contains("remote=127.0.0.1:"))
        #expect(place.cluster.server.errors.text.contains("sessions_closed=1"))
        await stopAll([place.cluster.server, agent, desk.program])
    }

    @Test(arguments: SignalScheme.allCases, ["direct", "bridge"])
    func `an agent's line goes in the middle of a transfer, which ends, and another agent is used`(
        scheme: SignalScheme, mode: String
    ) async throws {
        let place = try await Place(scheme)
        try await place.list("agent office office", "agent home home", "client laptop", "client desk")
        let options = ["--p2p", mode]
        let office = try await place.agent("office", options: options)
        let home = try await place.agent("home", options: options + ["--expire-in", "1h"])
        let laptop = try await place.socks("laptop", options: options)
        let desk = try await place.socks("desk", options: options + ["--agent", "home"])
        let ending = try await Transfer(through: laptop.port)
        let other = try await Transfer(through: desk.port)
        try await place.list("agent home home", "client laptop", "client desk")
        try await self.expectEnd(of: ending)
        #expect(try await office.end() == .exit(77))
        #expect(office.errors.text.contains("\"agent office \(try await place.key("office"))\""))
        let next = try await Transfer(through: laptop.port)
        try await next.expectGoingOn()
        try await other.expectGoingOn()
        await stopAll([place.cluster.server, home, laptop.program, desk.program])
    }

    /// A client that does not listen to anybody: it stands still, as one would that is told to go on whatever the server says.
    @Test(arguments: SignalScheme.allCases)
    func `an agent ends the channel of a client that does not obey`(scheme: SignalScheme) async throws {
        let place = try await Place(scheme)
        try await place.list("agent office office", "client laptop", "client desk")
        let agent = try await place.agent("office", options: ["--p2p", "direct"])
        let laptop = try await place.socks("laptop", options: ["--p2p", "direct"])
        let desk = try await place.socks("desk", options: ["--p2p", "direct"])
        let ending = try await Transfer(through: laptop.port)
        let other = try await Transfer(through: desk.port)
        laptop.program.signal(SIGSTOP)
        try await place.list("agent office office", "client desk")
        try await eventually(within: .seconds(5), "the end at the target") { ending.hasEnded.target }
        try await other.expectGoingOn()
        await stopAll([place.cluster.server, agent, desk.program, laptop.program])
    }

    /// The channels are from before, and the server has kept nothing.
    @Test(arguments: SignalScheme.allCases)
    func `a server that has restarted ends channels that are not allowed any more`(scheme: SignalScheme) async throws {
        let place = try await Place(scheme)
        let rules = ["agent office office", "agent home home", "client laptop", "client desk"]
        try await place.list(text: try await place.lines(rules))
        let options = ["--p2p", "direct"]
        let office = try await place.agent("office", options: options)
        let home = try await place.agent("home", options: options)
        let laptop = try await place.socks("laptop", options: options + ["--agent", "office"])
        let desk = try await place.socks("desk", options: options + ["--agent", "office"])
        let away = try await place.socks("desk", options: options + ["--agent", "home"])
        let ofLaptop = try await Transfer(through: laptop.port)
        let ofDesk = try await Transfer(through: desk.port)
        let toHome = try await Transfer(through: away.port)
        // Neither the client nor the agent whose lines go listens to anybody from now on.
        laptop.program.signal(SIGSTOP)
        home.signal(SIGSTOP)
        await place.cluster.server.kill9()
        try place.folder.write("keys", try await place.lines(["agent office office", "client desk"]))
        let server = try await place.cluster.relaunchServer(options: ["--authorized-keys", place.folder.file("keys")])
        try await eventually(within: .seconds(20), "the end at the agent") { ofLaptop.hasEnded.target }
        try await eventually(within: .seconds(20), "the end at the client") { toHome.hasEnded.client }
        try await ofDesk.expectGoingOn()
        await stopAll([server, office, home, laptop.program, desk.program, away.program])
    }

    /// The server does not know the channel: its client has a new control connection since.
    @Test func `a change reaches channels from before a lost control connection`() async throws {
        let place = try await Place(.quic)
        let before = try await place.lines(["agent office office", "client laptop", "client desk"])
        try await place.list(text: before)
        let agent = try await place.agent("office", options: ["--p2p", "direct"])
        let laptop = try await place.socks("laptop", options: ["--p2p", "direct"])
        let desk = try await place.socks("desk", options: ["--p2p", "direct"])
        let ending = try await Transfer(through: laptop.port)
        let other = try await Transfer(through: desk.port)
        await place.cluster.server.kill9()
        laptop.program.signal(SIGSTOP)
        let server = try await place.cluster.relaunchServer(options: ["--authorized-keys", place.folder.file("keys")])
        _ = try await server.logLine("the agent") { $0.contains("event=agent.registered") }
        try await other.expectGoingOn()
        #expect(!ending.hasEnded.target)
        try await place.list("agent office office", "client desk", at: server)
        try await eventually(within: .seconds(5), "the end at the target") { ending.hasEnded.target }
        try await other.expectGoingOn()
        await stopAll([server, agent, laptop.program, desk.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a client that may use less loses what it has of the rest, and goes on`(scheme: SignalScheme) async throws {
        let place = try await Place(scheme)
        try await place.list("agent office office", "agent home home", "client laptop agents=office|home")
        let office = try await place.agent("office")
        let home = try await place.agent("home", options: ["--expire-in", "1h"])
        let laptop = try await place.socks("laptop")
        let transfer = try await Transfer(through: laptop.port)
        try await place.list("agent office office", "agent home home", "client laptop agents=home")
        try await self.expectEnd(of: transfer)
        let next = try await Transfer(through: laptop.port)
        try await next.expectGoingOn()
        let gone = try await laptop.program.logLine("the loss") { $0.contains("event=agent.gone") }
        #expect(gone.contains("reason=removed") && gone.contains("agent=office"))
        #expect(try await place.names("laptop") == ["home"])
        await stopAll([place.cluster.server, office, home, laptop.program])
    }

    @Test(arguments: SignalScheme.allCases, ["direct", "bridge"])
    func `a relay leaves an agent whose line goes, and ends when its own line does`(
        scheme: SignalScheme, mode: String
    ) async throws {
        let place = try await Place(scheme)
        try await place.list("agent office office", "agent home home", "client edge", "client other")
        let options = ["--p2p", mode]
        let office = try await place.agent("office", options: options)
        let home = try await place.agent("home", options: options + ["--expire-in", "1h"])
        let echo = try UDPEchoService()
        let rule = "127.0.0.1:0?to=127.0.0.1:\(echo.port)"
        let edge = try await place.cluster.relay([rule], options: place.identity("edge") + options)
        let other = try await place.cluster.relay(
            [rule], options: place.identity("other") + options + ["--agent", "home"])
        let (traffic, steady) = (try SteadyTraffic(to: edge.port), try SteadyTraffic(to: other.port))
        defer { for one in [traffic, steady] { one.stop() } }
        for one in [traffic, steady] { try await one.untilAnswered() }
        try await place.list("agent home home", "client edge", "client other")
        #expect(try await office.end() == .exit(77))
        try await traffic.untilAnswered()
        let gone = try await edge.program.logLine("the loss") { $0.contains("event=agent.gone") }
        #expect(gone.contains("reason=removed"))
        try await place.list("agent home home", "client other")
        #expect(try await edge.program.end() == .exit(77))
        try await steady.untilAnswered()
        await steady.expectLost(atMost: 0)
        await stopAll([place.cluster.server, home, other.program])
    }

    // MARK: The file

    @Test func `a changed file is read by itself, a broken one leaves the rules of before`() async throws {
        let place = try await Place(.https)
        let server = place.cluster.server
        let good = try await place.lines(["agent office office", "client laptop"])
        let known = server.errors.lines.count
        try place.folder.write("keys", good)
        _ = try await server.logLine(within: .seconds(12), "the new keys", from: known) {
            $0.contains("event=keys.reloaded") && $0.contains("agents=1") && $0.contains("clients=1")
        }
        let agent = try await place.agent("office")
        try await place.list(text: good + "\nclient SHA256:short\n")
        let error = try await server.logLine("the error") { $0.contains("event=keys.reload_failed") }
        #expect(error.contains("line 4: the key has 5 characters behind SHA256:"))
        #expect(try await place.names("laptop") == ["office"])
        try FileManager.default.removeItem(atPath: place.folder.file("keys"))
        let lines = server.errors.lines.count
        server.signal(SIGHUP)
        _ = try await server.logLine("the missing file", from: lines) { $0.contains("event=keys.reload_failed") }
        #expect(try await place.names("laptop") == ["office"])
        #expect(agent.isRunning)
        await stopAll([server, agent])
    }

    @Test func `a server does not start with a file that is wrong or missing`() async throws {
        let folder = try TestFolder()
        try folder.write("keys", "client everybody\n")
        for (file, code, words) in [("keys", 78, "line 1: 'everybody' is no key"), ("none", 69, "cannot read")] {
            for more in [[], ["--check-config"]] {
                let server = try RunningProgram(
                    "rtun-server", ["--addr", "127.0.0.1:0", "--authorized-keys", folder.file(file)] + more,
                    environment: ["RTUN_SECRET": Cluster.secret])
                #expect(try await server.end() == .exit(Int32(code)))
                #expect(server.errors.text.contains(folder.file(file)) && server.errors.text.contains(words))
            }
        }
        // It does not stand in for a secret.
        try folder.write("keys", "")
        let server = try RunningProgram(
            "rtun-server", ["--addr", "127.0.0.1:0", "--authorized-keys", folder.file("keys")])
        #expect(try await server.end() == .exit(64))
    }

    @Test func `what was refused is counted`() async throws {
        let place = try await Place(.https, options: ["--admin", "127.0.0.1:0"])
        let ready = try await place.cluster.server.line("the ready line") { $0.contains(" admin=") }
        let admin = try #require(Cluster.readyField("admin", in: ready))
        let refused = try place.cluster.launchSocks(options: ["--list-agents"])
        #expect(try await refused.end() == .exit(77))
        let metrics = try await ShellCommand.run("curl -s http://\(admin)/metrics")
        #expect(metrics.contains("rtun_key_refusals_total{reason=\"key_unknown\"} 1"))
        #expect(metrics.contains("rtun_key_refusals_total{reason=\"without_identity\"} 0"))
        await place.cluster.server.stop()
    }
}
