import Basics
import NIOCore
import STUN
import Testing

@testable import ICE
@testable import PeerPath

/// Why there is no direct path, in words.
@Suite struct PathReportTests {
    private static func candidate(_ address: String) throws -> ICECandidate {
        let address = try SocketAddress(ipAddress: address, port: 4000)
        return ICECandidate(kind: .host, foundation: "1", priority: 1, address: address)
    }

    private func report(
        _ outcomes: [(ICEReport.Outcome, received: Int)], local: MappingBehavior = .endpointIndependent,
        peer: MappingBehavior = .endpointIndependent, obstacle: SpreadObstacle? = nil, hasLocal: Bool = true,
        hasRemote: Bool = true
    ) throws -> PathReport {
        let (near, far) = (try Self.candidate("192.0.2.1"), try Self.candidate("192.0.2.2"))
        let pairs = outcomes.map {
            ICEReport.Pair(
                local: near, remote: far, outcome: $0.0, unprovenAnswer: nil, checksReceived: $0.received)
        }
        return PathReport(
            ice: ICEReport(
                role: .controlling, hasRemoteCredentials: true, localCandidates: hasLocal ? [near] : [],
                remoteCandidates: hasRemote ? [far] : [], pairs: pairs, counters: ICECounters()),
            localMapping: local, peerMapping: peer, obstacle: obstacle)
    }

    @Test func `the cause is what is known of it`() throws {
        let silent: [(ICEReport.Outcome, received: Int)] = [(.noAnswer(requests: 7), 0)]
        #expect(try self.report(silent, local: .udpBlocked).cause.hasPrefix("UDP is blocked on this side"))
        #expect(try self.report(silent, peer: .udpBlocked).cause.hasPrefix("UDP is blocked on the other side"))
        #expect(
            try self.report(silent, local: .udpBlocked, peer: .udpBlocked).cause.hasPrefix(
                "UDP is blocked on both sides"))
        #expect(try self.report([]).cause == "the two sides share no address family")
        #expect(try self.report([], hasRemote: false).cause == "the other side names no address")
        #expect(try self.report([], hasLocal: false).cause == "this machine has no address for it")
        #expect(
            try self.report(silent, obstacle: .bothDependOnDestination).cause
                == "\(SpreadObstacle.bothDependOnDestination)")
        #expect(try self.report(silent).cause.hasPrefix("no UDP datagram gets through in either direction"))
        #expect(try self.report([(.noAnswer(requests: 7), 3)]).cause.hasPrefix("datagrams of the other side arrive"))
        #expect(try self.report([(.carriesTooLittle, 3)]).cause == "the paths that were found carry too little")
        #expect(try self.report([(.sendFailed("x"), 0)], obstacle: .notNeeded).cause.hasPrefix("no UDP datagram"))
    }
}
