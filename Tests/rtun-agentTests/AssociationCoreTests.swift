import Basics
import NIOCore
import Testing

@testable import rtun_agent

/// Names and targets of an association at the agent.
@Suite struct AssociationCoreTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private static let address = IPAddress(parsing: "192.0.2.1")!

    private static func waiting(_ number: UInt8) -> AssociationNames.Waiting {
        AssociationNames.Waiting(
            payload: ByteBuffer(bytes: [number]), endpoint: Endpoint(host: .name("a.example"), port: 53))
    }

    @Test func `a name is asked for once, and what came meanwhile waits for it`() {
        var names = AssociationNames()
        #expect(names.look("a", for: Self.waiting(1), at: Self.start) == .ask)
        #expect(names.look("a", for: Self.waiting(2), at: Self.start) == .asked)
        let waiting = names.answered("a", [Self.address], at: Self.start)
        #expect(waiting.map { $0.payload.getInteger(at: 0, as: UInt8.self) } == [1, 2])
        #expect(names.look("a", for: Self.waiting(3), at: Self.start + .hours(5)) == .addresses([Self.address]))
        #expect(names.answered("a", [], at: Self.start).isEmpty)
    }

    @Test func `a name that does not exist is asked for again after a while`() {
        var names = AssociationNames()
        #expect(names.look("a", for: Self.waiting(1), at: Self.start) == .ask)
        #expect(names.answered("a", [], at: Self.start).count == 1)
        #expect(names.look("a", for: Self.waiting(2), at: Self.start + .milliseconds(1999)) == .addresses([]))
        #expect(names.look("a", for: Self.waiting(3), at: Self.start + .seconds(2)) == .ask)
    }

    @Test func `names, lookups and what waits for them are bounded`() {
        var names = AssociationNames()
        for number in 0..<100 as Range<UInt8> { _ = names.look("a", for: Self.waiting(number), at: Self.start) }
        let waiting = names.answered("a", [Self.address], at: Self.start)
        #expect(waiting.map { $0.payload.getInteger(at: 0, as: UInt8.self) } == Array(92..<100))
        for number in 0..<16 {
            #expect(names.look("pending\(number)", for: Self.waiting(0), at: Self.start) == .ask)
        }
        #expect(names.look("another", for: Self.waiting(0), at: Self.start) == .full)
        for number in 0..<16 { _ = names.answered("pending\(number)", [], at: Self.start) }
        for number in 0..<1000 {
            #expect(names.look("name\(number)", for: Self.waiting(0), at: Self.start) == .ask)
            _ = names.answered("name\(number)", [Self.address], at: Self.start)
        }
        // The oldest have gone, the newest are known.
        #expect(names.look("name999", for: Self.waiting(0), at: Self.start) == .addresses([Self.address]))
        #expect(names.look("name0", for: Self.waiting(0), at: Self.start) == .ask)
    }

    private static func rules(_ deny: String...) throws -> EgressRules {
        EgressRules(targets: EgressPolicy(try deny.map { try EgressRule(.deny, parsing: $0) }))
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("198.51.100.1", nil), ("::ffff:198.51.100.1", nil), ("64:ff9b::198.51.100.1", nil), ("224.0.0.1", nil),
        ("239.255.255.250", nil), ("255.255.255.255", nil), ("240.0.0.1", nil), ("ff02::fb", nil), ("0.0.0.0", nil),
        ("::", nil), ("169.254.169.254", nil), ("fe80::1", nil),
    ])
    func `datagrams go where the policy lets them, and to one machine`(target: String, goesTo: String?) throws {
        let rules = try Self.rules("198.51.100.0/24", "127.0.0.0/8", "::1")
        var targets = AssociationTargets()
        let address = try #require(IPAddress(parsing: target))
        let destination = targets.destination(
            of: Endpoint(host: .address(address), port: 53), at: [address], by: rules
        ) { _ in true }
        #expect(destination == (try goesTo.map { try SocketAddress(ipAddress: $0, port: 53) }))
    }

    @Test func `of a name's addresses the first that is permitted and has a way is taken, and kept`() throws {
        let rules = try Self.rules("192.0.2.1")
        var targets = AssociationTargets()
        let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].compactMap { IPAddress(parsing: $0) }
        let endpoint = Endpoint(host: .name("a.example"), port: 53)
        let chosen = targets.destination(of: endpoint, at: addresses, by: rules) { $0.protocol == .inet6 }
        #expect(chosen?.ipAddress == "2001:db8::1")
        #expect(targets.known(endpoint, by: rules) == .some(chosen))
        let other = Endpoint(host: .name("a.example"), port: 54)
        #expect(targets.destination(of: other, at: addresses, by: rules) { _ in false }?.ipAddress == "192.0.2.2")
    }
}
