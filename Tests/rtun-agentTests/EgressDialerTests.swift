import Basics
import AppProto
import NIOCore
import NIOPosix
import Testing

@testable import rtun_agent

@Suite struct EgressDialerTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    private func dialer(_ rules: [EgressRule] = []) -> EgressDialer {
        EgressDialer(policy: EgressPolicy(rules))
    }

    private func connect(_ dialer: EgressDialer, _ host: String, _ port: Int) async throws -> any Channel {
        let target = OpenTcp(host: host, port: try #require(UInt16(exactly: port)))
        return try await dialer.connect(to: target, on: self.group.next()) { channel in
            channel.eventLoop.makeSucceededVoidFuture()
        }.channel.get()
    }

    private func withListener(_ host: String, _ body: (Int) async throws -> Void) async throws {
        let listener = try await ServerBootstrap(group: self.group).bind(host: host, port: 0).get()
        try await body(try #require(listener.localAddress?.port))
        try await listener.close()
    }

    @Test(arguments: ["127.0.0.1", "localhost"])
    func `a target is reached by address and by name`(host: String) async throws {
        try await self.withListener("127.0.0.1") { port in
            let channel = try await self.connect(self.dialer(), host, port)
            #expect(channel.remoteAddress?.port == port)
            try await channel.close()
        }
    }

    @Test func `changed rules apply to the next connection`() async throws {
        let rules = EgressRules(targets: EgressPolicy([]))
        let dialer = EgressDialer(rules: rules)
        try await self.withListener("127.0.0.1") { port in
            try await self.connect(dialer, "127.0.0.1", port).close()
            rules.change(to: try EgressOptions.parse(["--deny", "127.0.0.0/8"]))
            for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
                let failure = await #expect(throws: DialFailure.self) { try await self.connect(dialer, host, port) }
                #expect(failure?.code == .policy)
            }
            #expect(!rules.candidatePolicy.permits(try #require(IPAddress(parsing: "127.0.0.1")), port: 1))
        }
    }

    @Test func `a target is reached by an IPv6 address`() async throws {
        try await self.withListener("::1") { port in
            try await self.connect(self.dialer(), "::1", port).close()
        }
    }

    @Test func `a closed port is refused`() async throws {
        let listener = try await ServerBootstrap(group: self.group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        try await listener.close()
        for host in ["127.0.0.1", "localhost"] {
            let error = await #expect(throws: DialFailure.self) { try await self.connect(self.dialer(), host, port) }
            #expect(error?.code == .refused)
        }
    }

    @Test func `a refused address is not connected to, by whatever name`() async throws {
        let dialer = self.dialer([
            EgressRule(.deny, [.all(.v6)]), try EgressRule(.deny, parsing: "127.0.0.0/8"),
        ])
        try await self.withListener("127.0.0.1") { port in
            for host in ["127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1", "2130706433", "0x7f.1"] {
                let error = await #expect(throws: DialFailure.self, "\(host)") {
                    try await self.connect(dialer, host, port)
                }
                #expect(error?.code == .policy, "\(host)")
            }
        }
    }

    @Test func `a name whose every address is refused is not resolved`() async throws {
        let everything = EgressRule(.deny, [.all(.v4), .all(.v6)])
        let dialer = self.dialer([everything])
        let attempt = dialer.connect(to: OpenTcp(host: "localhost", port: 80), on: self.group.next()) {
            $0.eventLoop.makeSucceededVoidFuture()
        }
        #expect(attempt.lookup == nil)
        let error = await #expect(throws: DialFailure.self) { try await attempt.channel.get() }
        #expect(error?.code == .policy)
    }

    @Test func `an unknown name is reported as such`() async throws {
        let error = await #expect(throws: DialFailure.self) {
            try await self.connect(self.dialer(), "no-such-name.invalid", 80)
        }
        #expect(error?.code == .nameNotFound)
    }

    @Test func `an attempt whose lookup is cancelled fails at once`() async throws {
        // Either there is no name server, or nobody knows the name.
        let attempt = self.dialer().connect(to: OpenTcp(host: "example.test", port: 80), on: self.group.next()) {
            $0.eventLoop.makeSucceededVoidFuture()
        }
        attempt.lookup?.cancel()
        let error = await #expect(throws: DialFailure.self) { try await attempt.channel.get() }
        #expect(error?.code == .timedOut)
    }

    @Test func `an attempt that takes too long ends`() async throws {
        // A listener whose queue is full does not answer any more.
        let listener = try await ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 1)
            .serverChannelOption(.autoRead, value: false)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        var dialer = self.dialer()
        dialer.connectTimeout = .milliseconds(100)
        var channels: [any Channel] = []
        var failure: DialFailure?
        for _ in 0..<8 where failure == nil {
            do {
                channels.append(try await self.connect(dialer, "127.0.0.1", port))
            } catch {
                failure = error as? DialFailure
            }
        }
        #expect(failure?.code == .timedOut)
        for channel in channels { try await channel.close() }
        try await listener.close()
    }
}
