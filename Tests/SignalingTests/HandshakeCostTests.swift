import AppProto
import Foundation
import TLS
import Testing

@testable import Signaling

/// What a handshake costs with a proof of a key, and without. Not run unless asked for: `RTUN_BENCHMARK=1`.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["RTUN_BENCHMARK"] != nil))
struct HandshakeCostTests {
    private static let count = 10_000

    /// CPU time of each side for one handshake, in microseconds. The messages travel as bytes.
    private func cost(_ identity: ProcessIdentity?) throws -> (server: Double, peer: Double) {
        var agent = AgentRegistration(name: "egress", labels: ["os": "linux"])
        if identity != nil {
            agent.process = AgentProcess(nonce: [UInt8](repeating: 1, count: 16), aliveMilliseconds: 1)
        }
        var (server, peer) = (clock_t(0), clock_t(0))
        func measured<Value>(_ time: inout clock_t, _ body: () throws -> Value) rethrows -> Value {
            let start = clock()
            defer { time += clock() - start }
            return try body()
        }
        for _ in 0..<Self.count {
            var serverSide = ServerHandshake(
                secrets: AcceptedSecrets(HandshakePair.key), transport: .tls(exporter: HandshakePair.exporter),
                software: "s")
            let first = measured(&server) { serverSide.serverHello.encoded() }
            let hello = try measured(&peer) {
                var peerSide = ClientHandshake(
                    key: HandshakePair.key, transport: .verifiedTLS(exporter: HandshakePair.exporter), agent: agent,
                    identity: identity, software: "c")
                guard case .send(let hello) = peerSide.receive(try Envelope(decoding: first)) else {
                    throw HandshakePairError.noHello
                }
                return hello.encoded()
            }
            try measured(&server) {
                guard case .authenticated(let proved) = serverSide.receive(try Envelope(decoding: hello)),
                    (proved.key == nil) == (identity == nil)
                else { throw HandshakePairError.notAHello }
                _ = serverSide.seal(HandshakePair.agentWelcome).encoded()
            }
        }
        let unit = Double(CLOCKS_PER_SEC) * Double(Self.count) / 1_000_000
        return (Double(server) / unit, Double(peer) / unit)
    }

    @Test func `10 000 handshakes`() throws {
        let without = try self.cost(nil)
        let with = try self.cost(try ProcessIdentity(commonName: "test"))
        print(
            String(
                format: """
                    CPU per handshake in microseconds, TLS left out: server %.0f without a key, %.0f with (x %.1f); \
                    peer %.0f without, %.0f with (x %.1f)
                    """,
                without.server, with.server, with.server / without.server, without.peer, with.peer,
                with.peer / without.peer))
        // A TLS handshake with a P-256 certificate takes about as long again; ten times that would be a mistake.
        #expect(with.server < without.server + 5000)
    }
}
