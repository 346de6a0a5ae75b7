import NIOCore
import Testing

@testable import HostNetwork

/// When to look, and what to tell, in virtual time.
struct AddressWatchTests {
    /// A watch, and a clock that the test moves.
    private final class Fixture {
        var watch: AddressWatch
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
        var isTold = true

        init() throws {
            self.watch = AddressWatch(
                state: try AddressWatchTests.state("192.0.2.1"), timing: .init(pollInterval: .seconds(10)), at: self.now
            )
        }

        func found(_ state: NetworkState) -> AddressChange? { self.watch.found(state, at: self.now) }

        /// Waits as the thread does, until the time that it asked for or until a message comes `after` that long. Returns
        /// whether to look.
        func step(message after: TimeAmount? = nil, lateBy late: TimeAmount = .zero) -> Bool {
            let wait = self.watch.wait(isTold: self.isTold, at: self.now)
            // In a burst messages wait until it is time.
            let waited = self.watch.isInBurst ? wait : min(wait, after ?? wait)
            self.now = self.now + waited + late
            self.watch.woke(hasNews: after.map { $0 <= waited } ?? false, at: self.now)
            return self.watch.isDue(isTold: self.isTold, at: self.now)
        }
    }

    fileprivate static func state(_ addresses: String..., route: UInt32 = 1) throws -> NetworkState {
        NetworkState(
            addresses: Set(
                try addresses.map { .init(interface: "eth0", address: try SocketAddress(ipAddress: $0, port: 0)) }),
            internetRoutes: [NetworkRoute(interfaceIndex: route, gateway: [192, 0, 2, 254])])
    }

    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test func `nothing is read while the kernel reports no change`() throws {
        let fixture = try Fixture()
        for _ in 0..<1000 { #expect(!fixture.step()) }
    }

    @Test func `one message is followed by one read, 300 ms later`() throws {
        let fixture = try Fixture()
        #expect(!fixture.step(message: .seconds(1)))
        #expect(fixture.step())
        #expect(fixture.now - Self.start == .milliseconds(1300))
        let change = try #require(fixture.found(try Self.state("192.0.2.2")))
        #expect(change.added.map(\.address.ipAddress) == ["192.0.2.2"])
        #expect(change.removed.map(\.address.ipAddress) == ["192.0.2.1"])
        #expect(!change.isRerouted && !change.isAfterStandstill)
        #expect(change.hasLost(try SocketAddress(ipAddress: "192.0.2.1", port: 9)))
        #expect(!change.hasLost(try SocketAddress(ipAddress: "192.0.2.2", port: 9)))
        #expect(!change.hasLost(try SocketAddress(ipAddress: "192.0.2.3", port: 9)))
        #expect(!fixture.step())
    }

    @Test func `a burst is followed by a read when it is over`() throws {
        let fixture = try Fixture()
        #expect(!fixture.step(message: .zero))
        for _ in 0..<3 { #expect(!fixture.step(message: .zero)) }
        #expect(fixture.step())
        #expect(fixture.now - Self.start == .milliseconds(1200))
    }

    @Test func `a burst without end is followed by a read every 2 s`() throws {
        let fixture = try Fixture()
        var looks: [TimeAmount] = []
        for _ in 0..<100 where fixture.step(message: .zero) {
            looks.append(fixture.now - Self.start)
            #expect(fixture.found(try Self.state("192.0.2.1")) == nil)
        }
        #expect(looks.prefix(3) == [.seconds(2), .seconds(4), .seconds(6)])
    }

    @Test func `an unchanged state is not reported`() throws {
        let fixture = try Fixture()
        _ = fixture.step(message: .zero)
        #expect(fixture.step())
        #expect(fixture.found(try Self.state("192.0.2.1")) == nil)
    }

    @Test func `a changed route to the internet is reported`() throws {
        let fixture = try Fixture()
        let change = try #require(fixture.found(try Self.state("192.0.2.1", route: 2)))
        #expect(change.isRerouted && change.added.isEmpty && change.removed.isEmpty)
    }

    @Test func `if the kernel cannot report changes, there is a read every 10 s`() throws {
        let fixture = try Fixture()
        fixture.isTold = false
        var looks: [TimeAmount] = []
        for _ in 0..<100 where fixture.step() {
            looks.append(fixture.now - Self.start)
            #expect(fixture.found(try Self.state("192.0.2.1")) == nil)
        }
        #expect(looks.prefix(3) == [.seconds(10), .seconds(20), .seconds(30)])
    }

    @Test func `after a failed read the next one is 10 s later`() throws {
        let fixture = try Fixture()
        _ = fixture.step(message: .zero)
        #expect(fixture.step())
        let failed = fixture.now
        fixture.watch.lookFailed(at: failed)
        while !fixture.step() {}
        #expect(fixture.now - failed == .seconds(10))
        #expect(fixture.found(try Self.state("192.0.2.2")) != nil)
    }

    @Test func `a standstill is reported even if nothing else has changed`() throws {
        let fixture = try Fixture()
        #expect(!fixture.step())
        #expect(!fixture.step(lateBy: .seconds(11)))
        #expect(fixture.step())
        let change = try #require(fixture.found(try Self.state("192.0.2.1")))
        #expect(change.isAfterStandstill && change.added.isEmpty && change.removed.isEmpty)
        // Once.
        _ = fixture.step(message: .zero)
        _ = fixture.step()
        #expect(fixture.found(try Self.state("192.0.2.1")) == nil)
    }

    @Test func `a busy machine is no standstill`() throws {
        let fixture = try Fixture()
        for _ in 0..<10 { #expect(!fixture.step(lateBy: .seconds(9))) }
    }
}
