import Foundation
import Glibc
import TestSupport
import Testing

/// Bytes from strangers: nothing crashes, connections are closed, memory stays flat.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct GarbageTests {
    @Test func `garbage on every port is survived`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()

        // Once before measuring, so that everything that is made on first use has been made.
        try await Self.storm(server: cluster.port, proxy: socks.port, seed: 1)
        let before = try [cluster.server, socks.program].map { try $0.residentBytes().now }
        for seed in 2...6 { try await Self.storm(server: cluster.port, proxy: socks.port, seed: UInt64(seed)) }
        let after = try [cluster.server, socks.program].map { try $0.residentBytes().now }
        for (before, after) in zip(before, after) { #expect(after - before < 8_000_000) }

        for program in [cluster.server, agent.program, socks.program] { #expect(program.isRunning) }
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        try await onThread {
            try connection.send("still here")
            let received = try connection.receive(exactly: 10)
            #expect(received == Array("still here".utf8))
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test func `a connection that says nothing useful is closed`() async throws {
        let cluster = try await Cluster(.https)
        let socks = try await cluster.socks()
        for port in [cluster.port, socks.port] {
            let connection = try BlockingSocket(connectingTo: "127.0.0.1", port: port)
            try await onThread {
                // No TLS record, and no SOCKS version, starts like this.
                try connection.send([UInt8](repeating: 0xAA, count: 100))
                // Closed, or reset because bytes were left unread: either way it is over.
                _ = try? connection.receiveToEnd()
                #expect(throws: SocketFailure.self) {
                    // On a busy machine the end of one direction comes some time before that of the other.
                    for _ in 0..<5000 {
                        try connection.send([1])
                        usleep(1000)
                    }
                }
            }
        }
        await stopAll([cluster.server, socks.program])
    }

    private static func storm(server: Int, proxy: Int, seed: UInt64) async throws {
        try await onThread {
            var random = SeededGenerator(seed)
            for port in [server, proxy] {
                for round in 0..<60 {
                    let connection = try BlockingSocket(connectingTo: "127.0.0.1", port: port)
                    var bytes = random.bytes(1 + Int(random.next() % 3000))
                    // A third of them begin well.
                    switch round % 6 {
                    case 0: bytes = [5, 1, 0, 5, 1, 0, 3, 255] + bytes
                    case 1: bytes = [4, 1] + bytes
                    case 2: bytes = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3] + bytes
                    default: break
                    }
                    // It may be closed before all is sent.
                    try? connection.send(bytes)
                }
            }
            let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            for round in 0..<3000 {
                var bytes = random.bytes(1 + Int(random.next() % 1400))
                switch round % 4 {
                case 0: bytes[0] = UInt8(round & 3)  // STUN
                case 1: bytes[0] = 0xC0 | (bytes[0] & 0x3F)  // a QUIC long header
                case 2:
                    // A QUIC version 1 Initial as far as the eye can see.
                    bytes =
                        [0xC3, 0, 0, 0, 1, 8] + random.bytes(8) + [8] + random.bytes(8) + [0, 0x44, 0xB0]
                        + random.bytes(1200)
                default: bytes[0] = 0x40 | (bytes[0] & 0x3F)  // a QUIC short header
                }
                _ = BlockingSocket.sendDatagram(bytes, from: descriptor, toPort: server)
            }
        }
    }
}
