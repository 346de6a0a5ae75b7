import Foundation
import TestSupport
import Testing

/// How long a user waits, on a network that takes its time.
@Suite(
    .serialized, .timeLimit(.minutes(2)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct FirstByteTests {
    /// One way between a side and the server; so that a round trip to the server takes twice, to the peer four times that.
    private static let delay = 25

    private static let cases = [("direct", NATKind.port), ("bridge", NATKind.serverOnly), ("bridge", .symmetric)]

    @Test(arguments: Self.cases)
    func `the first byte comes after the control connection, an offer and one handshake`(path: String, client: NATKind)
        async throws
    {
        let lab = try await NATLab(client: client, agent: client == .symmetric ? .symmetric : .port)
        for side in NATLab.Side.allCases { try await lab.change("delay \(side) \(Self.delay)") }
        let programs = try await LabPrograms(on: lab)
        async let socksTime = programs.firstByte(.socks)
        async let relayTime = programs.firstByte(.relay)
        let socks = try LabPrograms.launch(.socks, on: lab)
        let relay = try LabPrograms.launch(.relay, on: lab)
        let times = try await (socks: socksTime, relay: relayTime)
        // To the server: TCP, WebSocket, handshake, choice of the agent. To the peer: offer, handshake, and the echo; and
        // for a connection through the proxy its opening before the echo. What is left is for a busy machine.
        let (server, peer) = (2 * Self.delay, 4 * Self.delay)
        #expect(times.socks < 5 * server + 4 * peer + 400, "\(times.socks) ms")
        #expect(times.relay < 5 * server + 4 * peer + 400, "\(times.relay) ms")
        for program in [socks, relay] { try await program.awaitPath(path, within: .seconds(15)) }
        print("first byte with \(client): rtun-socks \(times.socks) ms, rtun-relay \(times.relay) ms")
        await programs.stop(socks, relay)
    }
}
