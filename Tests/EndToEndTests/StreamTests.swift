import Crypto
import Foundation
import Synchronization
import TestSupport
import Testing

/// What TCP promises has to survive the tunnel: half-closed connections, resets, and slow readers.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct StreamTests {
    @Test(arguments: SignalScheme.allCases)
    func `a client that ends its sending side still receives the whole answer`(scheme: SignalScheme) async throws {
        let (cluster, agent, socks) = try await Self.start(scheme)
        // Answers only once the client's end has arrived: ten times what it got.
        let service = try TCPService { connection in
            let request = try connection.receiveToEnd()
            for _ in 0..<10 { try connection.send(request) }
        }
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: service.port)
        let request = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let answer = try await onThread {
            try connection.send(request)
            connection.shutdownSending()
            return try connection.receiveToEnd()
        }
        #expect(answer.count == 10 * request.count)
        #expect(SHA256.hash(answer) == SHA256.hash(Array(repeatElement(request, count: 10).joined())))
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a target that ends its sending side first still receives the rest`(scheme: SignalScheme) async throws {
        let (cluster, agent, socks) = try await Self.start(scheme)
        let (received, done) = AsyncStream.makeStream(of: Int.self)
        let service = try TCPService { connection in
            try connection.send("done")
            connection.shutdownSending()
            done.yield(try connection.receiveToEnd().count)
            done.finish()
        }
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: service.port)
        try await onThread {
            let received = try connection.receiveToEnd()
            #expect(received == Array("done".utf8))
            try connection.send([UInt8](repeating: 7, count: 1_000_000))
            connection.shutdownSending()
        }
        let count = try await within(.seconds(10), "the rest at the target") {
            for await count in received { return count }
            return -1
        }
        #expect(count == 1_000_000)
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a reset of the target reaches the client as a reset`(scheme: SignalScheme) async throws {
        let (cluster, agent, socks) = try await Self.start(scheme)
        let service = try TCPService { connection in
            _ = try connection.receive(exactly: 5)
            connection.reset()
        }
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: service.port)
        let failure = await #expect(throws: SocketFailure.self) {
            try await onThread {
                try connection.send("hello")
                _ = try connection.receiveToEnd()
            }
        }
        #expect(failure?.isReset == true)
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `a reset of the client reaches the target as a reset`(scheme: SignalScheme) async throws {
        let (cluster, agent, socks) = try await Self.start(scheme)
        let (failures, ended) = AsyncStream.makeStream(of: SocketFailure?.self)
        let service = try TCPService { connection in
            do {
                try connection.send("x")
                _ = try connection.receiveToEnd()
                ended.yield(nil)
            } catch let failure as SocketFailure {
                ended.yield(failure)
            }
        }
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: service.port)
        try await onThread {
            let received = try connection.receive(exactly: 1)
            #expect(received == Array("x".utf8))
            connection.reset()
        }
        let failure = try await within(.seconds(10), "the reset at the target") {
            for await failure in failures { return failure }
            return nil
        }
        #expect(failure?.isReset == true)
        await stopAll([cluster.server, agent, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `readers that stop reading stall neither other streams nor memory`(scheme: SignalScheme) async throws {
        let (cluster, agent, socks) = try await Self.start(scheme)
        // Offers without end; the count of what the tunnel took shows that it stops taking.
        let taken = Mutex(0)
        let firehose = try TCPService { connection in
            let chunk = [UInt8](repeating: 1, count: 1 << 16)
            while true {
                try connection.send(chunk)
                taken.withLock { $0 += chunk.count }
            }
        }
        let echo = try TCPService.echo()
        var stalled: [BlockingSocket] = []
        for _ in 0..<20 {
            stalled.append(try await SOCKSTestClient.connect5(proxy: socks.port, port: firehose.port))
        }
        // Wait until nothing moves any more.
        try await eventually(within: .seconds(15), "the stalled streams standing still") {
            let before = taken.withLock { $0 }
            try await ContinuousClock().sleep(for: .milliseconds(700))
            return before > 0 && taken.withLock { $0 } == before
        }
        let other = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        let payload = [UInt8](repeating: 9, count: 20 << 20)
        let writer = Task {
            try await onThread {
                try other.send(payload)
                other.shutdownSending()
            }
        }
        let answer = try await onThread { try other.receiveToEnd() }
        try await writer.value
        #expect(answer == payload)
        for program in [agent, socks.program] {
            let resident = try program.residentBytes().peak
            #expect(resident < 80_000_000, "\(program.name) held \(resident) bytes")
        }
        _ = consume stalled
        await stopAll([cluster.server, agent, socks.program])
    }

    private static func start(
        _ scheme: SignalScheme
    ) async throws -> (cluster: Cluster, agent: RunningProgram, socks: (program: RunningProgram, port: Int)) {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress").program
        return (cluster, agent, try await cluster.socks())
    }
}
