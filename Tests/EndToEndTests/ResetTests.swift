import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// What one end did reaches the other as it was done: data, then the end, then the reset.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ResetTests {
    private static let size = 200_000
    private static let trials = 20
    private static let payload = [UInt8](repeating: 0xA5, count: size)
    static let modes = ["auto", "direct", "bridge"]

    private struct Programs {
        let cluster: Cluster
        let agent: RunningProgram
        let socks: (program: RunningProgram, port: Int)

        init(_ scheme: SignalScheme, _ mode: String) async throws {
            self.cluster = try await Cluster(scheme)
            self.agent = try await self.cluster.agent("egress", options: ["--p2p", mode]).program
            self.socks = try await self.cluster.socks(options: ["--p2p", mode])
        }

        func connect(to service: TCPService) async throws -> BlockingSocket {
            try await SOCKSTestClient.connect5(proxy: self.socks.port, port: service.port)
        }

        func stop() async { await stopAll([self.cluster.server, self.agent, self.socks.program]) }
    }

    /// A target that reads so many bytes, sends 200 000, waits until they have been delivered, and resets the connection.
    private static func resettingService(after count: Int) throws -> TCPService {
        try TCPService { connection in
            _ = try connection.receive(exactly: count)
            try connection.send(Self.payload)
            try connection.waitUntilDelivered()
            connection.reset()
        }
    }

    /// What has come at a target, one value a connection.
    private final class Results: Sendable {
        private let values = Mutex<[(count: Int, failure: SocketFailure?)]>([])

        func append(_ value: (count: Int, failure: SocketFailure?)) { self.values.withLock { $0.append(value) } }
        var all: [(count: Int, failure: SocketFailure?)] { self.values.withLock { $0 } }
    }

    @Test(arguments: SignalScheme.allCases, modes)
    func `what a target sent before it reset the connection arrives`(scheme: SignalScheme, mode: String) async throws {
        let programs = try await Programs(scheme, mode)
        let service = try Self.resettingService(after: 1)
        for _ in 0..<Self.trials {
            let connection = try await programs.connect(to: service)
            let (count, failure) = try await onThread {
                try connection.send("?")
                return connection.receiveToFailure()
            }
            #expect(count == Self.size)
            #expect(failure?.isReset == true)
        }
        await programs.stop()
    }

    @Test(arguments: SignalScheme.allCases, modes)
    func `what a client sent before it reset the connection arrives`(scheme: SignalScheme, mode: String) async throws {
        let programs = try await Programs(scheme, mode)
        let results = Results()
        let service = try TCPService { connection in
            try connection.send("!")
            results.append(connection.receiveToFailure())
        }
        for number in 1...Self.trials {
            let connection = try await programs.connect(to: service)
            try await onThread {
                _ = try connection.receive(exactly: 1)
                try connection.send(Self.payload)
                try connection.waitUntilDelivered()
                connection.reset()
            }
            try await eventually(within: .seconds(20), "the end at the target") { results.all.count == number }
        }
        #expect(results.all.map(\.count) == Array(repeating: Self.size, count: Self.trials))
        #expect(results.all.allSatisfy { $0.failure?.isReset == true })
        await programs.stop()
    }

    /// A server that refuses a body: answers, and closes with the rest of the body unread, which makes a reset of it.
    @Test(arguments: SignalScheme.allCases, modes)
    func `the answer of a target that refuses a body arrives`(scheme: SignalScheme, mode: String) async throws {
        let programs = try await Programs(scheme, mode)
        let service = try Self.resettingService(after: 1000)
        for _ in 0..<Self.trials {
            let connection = try await programs.connect(to: service)
            // Whoever of the two is told of the reset first, the other one sees the end only (tcp(7)).
            async let refusal = onThread { () -> SocketFailure? in
                while true {
                    do { try connection.send(Self.payload) } catch { return error as? SocketFailure }
                }
            }
            let (count, failure) = try await onThread { connection.receiveToFailure() }
            #expect(count == Self.size)
            #expect(try await refusal?.isReset == true || failure?.isReset == true)
        }
        await programs.stop()
    }

    @Test(arguments: modes)
    func `a reset after the end of the data arrives after it`(mode: String) async throws {
        let programs = try await Programs(.quic, mode)
        let service = try TCPService { connection in
            _ = try connection.receive(exactly: 1)
            try connection.send(Self.payload)
            connection.shutdownSending()
            try connection.waitUntilDelivered()
            usleep(50_000)
            connection.reset()
        }
        let connection = try await programs.connect(to: service)
        let failure = try await onThread { () -> SocketFailure? in
            try connection.send("?")
            let (count, failure) = connection.receiveToFailure()
            #expect(count == Self.size && failure == nil)
            for _ in 0..<1000 {
                do { try connection.send("still there?") } catch { return error as? SocketFailure }
                usleep(10_000)
            }
            return nil
        }
        #expect(failure?.isReset == true)
        await programs.stop()
    }

    @Test func `silent connections from clients and to targets have keep-alive probes`() async throws {
        let programs = try await Programs(.quic, "direct")
        let service = try TCPService { connection in _ = try connection.receiveToEnd() }
        let connection = try await programs.connect(to: service)
        try await eventually(within: .seconds(5), "keepalive at both programs") {
            let sockets = try await ShellCommand.run("ss -Htnpo state established")
            let lines = sockets.split(separator: "\n")
            // The kernel's timer is the one that the next question is due by.
            return lines.contains {
                $0.contains(":\(programs.socks.port) ") && $0.contains("rtun-socks") && $0.contains("timer:(keepalive,")
            }
                && lines.contains {
                    $0.contains(":\(service.port) ") && $0.contains("rtun-agent") && $0.contains("timer:(keepalive,")
                }
        }
        withExtendedLifetime(connection) {}
        await programs.stop()
    }

    @Test func `a download that a killed proxy cuts off does not look complete`() async throws {
        let programs = try await Programs(.quic, "direct")
        let service = try TCPService { connection in
            _ = try connection.receive(exactly: 1)
            try connection.send(Self.payload)
            _ = try connection.receiveToEnd()
        }
        let connection = try await programs.connect(to: service)
        let received = try await onThread {
            try connection.send("?")
            return try connection.receive(exactly: Self.size)
        }
        #expect(received.count == Self.size)
        await programs.socks.program.kill9()
        let (_, failure) = try await onThread { connection.receiveToFailure() }
        #expect(failure?.isReset == true)
        await programs.stop()
    }
}
