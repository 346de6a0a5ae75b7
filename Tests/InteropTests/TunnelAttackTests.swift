import AppProto
import Foundation
import TLS
import TestSupport
import Testing

@testable import Tunnel

/// What a client who has the secret, and misbehaves, costs an agent.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct TunnelAttackTests {
    /// So long the attack goes on, in seconds.
    private static let seconds = 8
    /// So much the agent's memory may grow after a quarter of that, in bytes. Some 7000 packets come in that time: with
    /// 80 bytes kept of each it would be more.
    private static let bound = 512 << 10

    @Test(arguments: ["stream", "retire"])
    func `a client that acknowledges nothing costs an agent bounded memory`(attack: String) async throws {
        let cluster = try await Cluster(.https)
        let agent = try await cluster.agent("egress")
        // Reads everything, and never stops talking: what the client does not acknowledge fills the agent's buffers first.
        let (targets, arrived) = AsyncStream.makeStream(of: Void.self)
        let service = try TCPService { connection in
            arrived.yield()
            let talking = Thread { while (try? connection.send([UInt8](repeating: 1, count: 1 << 16))) != nil {} }
            talking.start()
            while try !connection.receive().isEmpty {}
        }
        let identity = try Identity.selfSigned(commonName: "attacker")
        let certificate = try cluster.folder.write(
            "attacker.pem", String(decoding: identity.certificateChainPEM, as: UTF8.self))
        let key = try cluster.folder.write("attacker.key", String(decoding: identity.privateKeyPEM, as: UTF8.self))
        let tunnel = try await ForeignTunnel.open(to: "egress", agent.instance, in: cluster, as: identity)

        let opening = TunnelMessageReader.frame(OpenTcp(host: "127.0.0.1", port: UInt16(service.port)).encoded())
        let attacker = try RunningProgram(
            Interpreter.python,
            [
                Interpreter.script("tunnel_attacks.py"), "\(tunnel.port)", certificate, key,
                opening.readableBytesView.map { String(format: "%02x", $0) }.joined(), attack, "\(Self.seconds)",
            ])
        _ = try await attacker.line(within: .seconds(20), "the attack") { $0 == "begun" }
        if attack == "stream" {
            _ = try await within(.seconds(20), "the connection to the target") { for await _ in targets { return } }
        }
        let before = try agent.program.residentBytes().now
        let end = try await attacker.line(within: .seconds(20), "the end of the attack") { $0 != "begun" }
        let after = try agent.program.residentBytes().now
        // The agent has neither ended the connection nor stopped listening.
        #expect(try #require(Int(end), "\(end)") > 1000)
        #expect(after - before < Self.bound, "\(before) and then \(after) bytes, \(end) packets")
        #expect(agent.program.isRunning)
        await attacker.kill9()
        await tunnel.close()
        withExtendedLifetime(service) {}
        await stopAll([cluster.server, agent.program])
    }
}
