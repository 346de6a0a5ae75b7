import NIOCore
import NIOPosix
import Testing

@testable import NameResolution

/// One at a time: some ask for hundreds of names at once, more than there are channels for.
@Suite(.serialized) struct NameResolverTests {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    private func withNames(
        nsswitch: String = "hosts: files dns", maximumLookups: Int = NameResolver.maximumLookups,
        _ body: (NameServer, NameResolver) async throws -> Void
    ) async throws {
        let server = try await NameServer()
        let names = NameResolver(server.configuration, maximumLookups: maximumLookups) {
            HostSources(parsing: nsswitch)
        }
        try await body(server, names)
        try await server.close()
    }

    /// `ip port` of each; nil when there is an error instead.
    private func texts(_ future: EventLoopFuture<[SocketAddress]>) async -> [String]? {
        try? await future.get().map { "\($0.ipAddress ?? "none") \($0.port ?? -1)" }
    }

    private func error(of future: EventLoopFuture<[SocketAddress]>) async -> NameLookupError? {
        do {
            _ = try await future.get()
            return nil
        } catch {
            return error as? NameLookupError
        }
    }

    @Test func `a name has addresses of both families, with the port`() async throws {
        try await self.withNames { _, names in
            let lookup = names.lookUp("both.test", port: 443, on: self.eventLoop)
            #expect(await self.texts(lookup.v4Addresses) == ["192.0.2.1 443"])
            #expect(await self.texts(lookup.v6Addresses) == ["2001:db8::1 443"])
            #expect(await self.texts(lookup.addresses) == ["2001:db8::1 443", "192.0.2.1 443"])
        }
    }

    @Test func `a family without records is empty`() async throws {
        try await self.withNames { _, names in
            let lookup = names.lookUp("v4.test", port: 1, on: self.eventLoop)
            #expect(await self.texts(lookup.v6Addresses) == [])
            #expect(await self.texts(lookup.addresses)?.count == 1)
        }
    }

    @Test(arguments: ["late6.test", "late4.test"])
    func `neither family waits for the other`(name: String) async throws {
        try await self.withNames { _, names in
            let started = ContinuousClock.now
            let lookup = names.lookUp(name, port: 1, on: self.eventLoop)
            #expect(await self.texts(lookup.addresses)?.count == 1)
            #expect(ContinuousClock.now - started < .seconds(1.4))
            lookup.cancel()
        }
    }

    @Test func `unanswered names delay no others, however many there are`() async throws {
        try await self.withNames { server, names in
            let silent = (0..<200).map { names.lookUp("silent-\($0).test", port: 1, on: self.eventLoop) }
            // The first questions are out: lookups are under way. Of such a burst not every question arrives.
            while server.questionCount(of: "silent-0.test") == 0 { try await Task.sleep(for: .milliseconds(5)) }
            for index in 0..<20 {
                let started = ContinuousClock.now
                let lookup = names.lookUp("both-\(index).test", port: 1, on: self.eventLoop)
                #expect(await self.texts(lookup.addresses) != nil)
                #expect(ContinuousClock.now - started < .seconds(5))
            }
            for lookup in silent { lookup.cancel() }
        }
    }

    @Test func `an owner with many names takes turns with the others`() async throws {
        try await self.withNames { server, names in
            let (greedy, modest) = (NameServerOwner(), NameServerOwner())
            let many = (0..<200).map {
                names.lookUp("silent-\($0).test", port: 1, for: ObjectIdentifier(greedy), on: self.eventLoop)
            }
            let started = ContinuousClock.now
            let lookup = names.lookUp("both.test", port: 1, for: ObjectIdentifier(modest), on: self.eventLoop)
            #expect(await self.texts(lookup.addresses)?.count == 2)
            // Neither behind the other's two hundred, nor behind what those wait for.
            #expect(ContinuousClock.now - started < .seconds(5))
            for lookup in many { lookup.cancel() }
            // What is abandoned is over in the end, shared channels included, and names are looked up as before.
            let again = names.lookUp("both-again.test", port: 1, for: ObjectIdentifier(greedy), on: self.eventLoop)
            #expect(await self.texts(again.addresses)?.count == 2)
            withExtendedLifetime((greedy, modest)) {}
        }
    }

    @Test func `an owner that looks up all it can is refused, and another one is not`() async throws {
        try await self.withNames(maximumLookups: 16) { _, names in
            let (greedy, modest) = (NameServerOwner(), NameServerOwner())
            let many = (0..<20).map {
                names.lookUp("silent-\($0).test", port: 1, for: ObjectIdentifier(greedy), on: self.eventLoop)
            }
            for lookup in many[14...] { #expect(await self.error(of: lookup.v4Addresses) == .busy) }
            for index in 0..<20 {
                let lookup = names.lookUp(
                    "both-\(index).test", port: 1, for: ObjectIdentifier(modest), on: self.eventLoop)
                #expect(await self.texts(lookup.addresses)?.count == 2)
            }
            // Their time is over, and so is what they have taken.
            for lookup in many[..<14] { #expect(await self.error(of: lookup.addresses) == .noAnswer) }
            let again = names.lookUp("both-again.test", port: 1, for: ObjectIdentifier(greedy), on: self.eventLoop)
            #expect(await self.texts(again.addresses)?.count == 2)
            withExtendedLifetime((greedy, modest)) {}
        }
    }

    @Test func `a lookup that is cancelled fails at once, and asks no more`() async throws {
        try await self.withNames { server, names in
            let lookup = names.lookUp("silent.test", port: 1, on: self.eventLoop)
            let kept = names.lookUp("silent-kept.test", port: 1, on: self.eventLoop)
            while server.questionCount(of: "silent.test") < 2 { try await Task.sleep(for: .milliseconds(5)) }
            lookup.cancel()
            #expect(await self.error(of: lookup.v4Addresses) == .cancelled)
            #expect(await self.error(of: lookup.addresses) == .cancelled)
            // The other one is asked for again after 1.5 s.
            while server.questionCount(of: "silent-kept.test") < 4 { try await Task.sleep(for: .milliseconds(20)) }
            #expect(server.questionCount(of: "silent.test") == 2)
            kept.cancel()
        }
    }

    @Test func `a name that nobody answers for is given up`() async throws {
        try await self.withNames { _, names in
            let started = ContinuousClock.now
            let lookup = names.lookUp("silent.test", port: 1, on: self.eventLoop)
            #expect(await self.error(of: lookup.addresses) == .noAnswer)
            #expect((7...9.9).contains((ContinuousClock.now - started) / .seconds(1)))
        }
    }

    @Test(arguments: [
        ("unknown.test", [NameLookupError.notFound]), ("no-such-name.invalid", [.notFound]),
        // c-ares 1.18 does not tell one from the other, c-ares 1.34 does.
        ("failing.test", [.failed("there is no name server, or it failed"), .failed("the name server failed")]),
        ("", [.failed("it is not a valid name")]), ("127.0.0.1\0.test", [.failed("it is not a valid name")]),
        ("a..test", [.failed("it is not a valid name")]),
        (String(repeating: "a", count: 64) + ".test", [.failed("it is not a valid name")]),
    ])
    func `the reason of a failure is reported`(name: String, expected: [NameLookupError]) async throws {
        try await self.withNames { _, names in
            let error = await self.error(of: names.lookUp(name, port: 1, on: self.eventLoop).addresses)
            #expect(error.map(expected.contains) == true)
        }
    }

    @Test(arguments: [
        ("127.1", "127.0.0.1 7"), ("0x7f.1", "127.0.0.1 7"), ("2130706433", "127.0.0.1 7"), ("::1", "::1 7"),
        ("192.0.2.9", "192.0.2.9 7"),
    ])
    func `addresses in any form need no name server`(text: String, expected: String) async throws {
        try await self.withNames { server, names in
            let lookup = names.lookUp(text, port: 7, on: self.eventLoop)
            #expect(await self.texts(lookup.addresses) == [expected])
            #expect(server.questionCount(of: text) == 0)
        }
    }

    @Test func `localhost is known without a name server`() async throws {
        try await self.withNames { server, names in
            let addresses = try await names.lookUp("localhost", port: 1, on: self.eventLoop).addresses.get()
            #expect(addresses.contains { $0.ipAddress == "127.0.0.1" })
            #expect(server.questionCount(of: "localhost") == 0)
        }
    }

    @Test func `no name server is asked for names that belong to mDNS`() async throws {
        try await self.withNames(nsswitch: "hosts: files mdns4_minimal [NOTFOUND=return] dns") { server, names in
            let lookup = names.lookUp("printer.local", port: 1, on: self.eventLoop)
            try await Task.sleep(for: .milliseconds(100))
            lookup.cancel()
            #expect(server.questionCount(of: "printer.local") == 0)
        }
    }
}

private final class NameServerOwner: Sendable {}

@Suite struct FairQueueTests {
    @Test func `owners take turns`() {
        var queue = FairQueue<String, Int>()
        for number in 0..<3 { queue.append(number, of: "a") }
        queue.append(10, of: "b")
        queue.append(20, of: "c")
        queue.append(11, of: "b")
        let order = (0..<7).map { _ in queue.popFirst()?.element }
        #expect(order == [0, 10, 20, 1, 11, 2, nil])
        #expect(queue.isEmpty)
    }

    @Test func `an owner at its limit is passed over, and removed elements leave nothing behind`() {
        var queue = FairQueue<String, Int>()
        for number in 0..<4 { queue.append(number, of: number < 2 ? "a" : "b") }
        #expect(queue.popFirst { $0 != "a" }?.element == 2)
        queue.removeAll { $0 < 2 }
        #expect(queue.count == 1 && queue.count(of: "a") == 0)
        #expect(queue.popFirst()?.element == 3)
        #expect(queue.popFirst()?.element == nil)
    }
}
