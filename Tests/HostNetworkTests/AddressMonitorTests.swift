import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import HostNetwork

/// The monitor on this machine, which gets a network interface for the time of a test.
@Suite(
    .serialized, .timeLimit(.minutes(1)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make a network interface"))
struct AddressMonitorTests {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// One end of a virtual Ethernet pair, without addresses, which ends with this object.
    private final class Interface: Sendable {
        let name = "rtm\(getpid())"

        init() async throws {
            try await ShellCommand.run(
                """
                ip link add \(self.name) type veth peer name \(self.name)p
                ip link set \(self.name) up && ip link set \(self.name)p up
                """)
        }

        func change(_ arguments: String) async throws {
            try await ShellCommand.run("ip \(arguments) dev \(self.name)")
        }

        deinit {
            let removal = Process()
            removal.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
            removal.arguments = ["link", "del", self.name]
            try? removal.run()
            removal.waitUntilExit()
        }
    }

    /// What a monitor tells, in order.
    private final class Listener: Sendable {
        private let monitor: AddressMonitor
        private let eventLoop: any EventLoop
        private let changes = Mutex<[AddressChange]>([])
        private let subscription: NIOLoopBoundBox<AddressSubscription?>

        init(to monitor: AddressMonitor, on eventLoop: any EventLoop) async throws {
            self.monitor = monitor
            self.eventLoop = eventLoop
            self.subscription = .makeEmptyBox(valueType: AddressSubscription.self, eventLoop: eventLoop)
            try await eventLoop.submit {
                self.subscription.value = monitor.subscribe(on: eventLoop) { [weak self] change in
                    eventLoop.preconditionInEventLoop()
                    self?.changes.withLock { $0.append(change) }
                }
            }.get()
        }

        func cancel() async throws {
            try await self.eventLoop.submit { self.subscription.value = nil }.get()
        }

        /// How often something of an interface has been told. The machine may have other reasons to tell something.
        func count(of interface: Interface) -> Int {
            self.changes.withLock { changes in
                changes.count { $0.added.union($0.removed).contains { $0.interface == interface.name } }
            }
        }

        /// The first change that does what is asked for, once it has come.
        func change(where matches: (AddressChange) -> Bool) async throws -> AddressChange {
            while true {
                if let change = self.changes.withLock({ $0.first(where: matches) }) { return change }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    @Test func `addresses that come and go are reported once they can be used`() async throws {
        let interface = try await Interface()
        let listener = try await Listener(to: AddressMonitor(), on: self.eventLoop)
        try await interface.change("addr add 192.0.2.77/32")
        _ = try await listener.change { $0.added.contains { $0.address.ipAddress == "192.0.2.77" } }
        // Duplicate address detection takes a second.
        try await interface.change("addr add 2001:db8:77::1/64")
        let added = try await listener.change { $0.added.contains { $0.address.ipAddress == "2001:db8:77::1" } }
        #expect(added.added.contains { $0.interface == interface.name })
        try await interface.change("addr del 192.0.2.77/32")
        let removed = try await listener.change { $0.removed.contains { $0.address.ipAddress == "192.0.2.77" } }
        #expect(removed.hasLost(try SocketAddress(ipAddress: "192.0.2.77", port: 1)))
        // An interface that goes down takes its addresses along.
        try await ShellCommand.run("ip link set \(interface.name) down")
        _ = try await listener.change { $0.removed.contains { $0.address.ipAddress == "2001:db8:77::1" } }
        try await listener.cancel()
    }

    @Test func `a renewed lifetime is no change`() async throws {
        let interface = try await Interface()
        try await interface.change("addr add 2001:db8:77::2/64 nodad valid_lft 1000 preferred_lft 1000")
        let listener = try await Listener(to: AddressMonitor(), on: self.eventLoop)
        try await interface.change("addr change 2001:db8:77::2/64 valid_lft 2000 preferred_lft 2000")
        try await interface.change("addr change 2001:db8:77::2/64 valid_lft 2000 preferred_lft 0")
        // What is told next is told of something else.
        try await interface.change("addr add 192.0.2.78/32")
        _ = try await listener.change { $0.added.contains { $0.address.ipAddress == "192.0.2.78" } }
        #expect(listener.count(of: interface) == 1)
        try await listener.cancel()
    }

    @Test func `without messages from the kernel the monitor polls`() async throws {
        let interface = try await Interface()
        let monitor = AddressMonitor(listens: false, timing: .init(pollInterval: .milliseconds(200)))
        let listener = try await Listener(to: monitor, on: self.eventLoop)
        try await interface.change("addr add 192.0.2.79/32")
        _ = try await listener.change { $0.added.contains { $0.address.ipAddress == "192.0.2.79" } }
        try await listener.cancel()
    }

    @Test func `nothing is reported after the end of a subscription, and others go on`() async throws {
        let interface = try await Interface()
        let monitor = AddressMonitor()
        let ended = try await Listener(to: monitor, on: self.eventLoop)
        let other = try await Listener(to: monitor, on: MultiThreadedEventLoopGroup.singleton.next())
        try await ended.cancel()
        try await interface.change("addr add 192.0.2.80/32")
        _ = try await other.change { $0.added.contains { $0.address.ipAddress == "192.0.2.80" } }
        #expect(ended.count(of: interface) == 0)
        try await other.cancel()
    }

    @Test func `a released monitor ends its thread`() async throws {
        let before = try Self.threadCount()
        for _ in 0..<20 {
            let listener = try await Listener(to: AddressMonitor(), on: self.eventLoop)
            try await listener.cancel()
        }
        // Threads of others come and go, too.
        while try Self.threadCount() > before + 10 { try await Task.sleep(for: .milliseconds(10)) }
    }

    private static func threadCount() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
    }
}
