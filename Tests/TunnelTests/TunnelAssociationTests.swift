import AppProto
import Basics
import NIOCore
import PeerTestSupport
import TestSupport
import Testing
import UDPAssociation

@testable import PeerChannel
@testable import Tunnel

/// UDP associations between two ends of a tunnel in memory.
@Suite struct TunnelAssociationTests {
    /// Keeps what an association is told.
    private final class Recorder: TunnelAssociationDelegate {
        var payloads: [ByteBuffer] = []
        var endpoints: [Endpoint] = []
        var batches = 0
        var end: TunnelAssociation.End?
        /// Sends back what comes.
        var echoes = false

        func association(_ association: TunnelAssociation, received payload: ByteBuffer, with endpoint: Endpoint) {
            self.payloads.append(payload)
            self.endpoints.append(endpoint)
            if self.echoes { _ = association.send(payload, endpoint) }
        }

        func associationReceiveComplete(_ association: TunnelAssociation) { self.batches += 1 }
        func association(_ association: TunnelAssociation, ended: TunnelAssociation.End) { self.end = ended }
    }

    private static let endpoint = Endpoint(host: .name("example.org"), port: 53)

    private final class Ends {
        let pair: CarrierPair<QUICTunnel>
        let client = Recorder()
        let agent = Recorder()
        var clientAssociation: TunnelAssociation?
        var agentAssociation: TunnelAssociation?
        var error: TunnelOpenError?

        init(refusal: TunnelRefusal? = nil, agentIsOld: Bool = false) throws {
            self.pair = try CarrierPair(delay: .milliseconds(10)) {
                try QUICTunnel(
                    PeerCarrierContext(side: $0, peerFingerprint: $1, configuration: $2, eventLoop: $3, path: $4),
                    takesDatagrams: !agentIsOld || $0 == .client)
            }
            try #require(self.pair.connect())
            self.agent.echoes = true
            self.pair.agent.associationRequested = { [unowned self] association in
                if let refusal { return refusal }
                association.delegate = self.agent
                self.agentAssociation = association
                return nil
            }
            self.pair.client.openAssociation(timeout: .seconds(5)) { result in
                switch result {
                case .success(let association):
                    association.delegate = self.client
                    self.clientAssociation = association
                case .failure(let error): self.error = error
                }
            }
            self.run(for: .milliseconds(100))
        }

        func run(for time: TimeAmount) {
            self.pair.eventLoop.run()
            self.pair.eventLoop.advanceTime(by: time)
        }

        func send(_ size: Int) -> Bool? {
            self.clientAssociation?.send(
                ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0) }), TunnelAssociationTests.endpoint)
        }
    }

    @Test(arguments: [0, 1, 1200, 1452, 4096], [1200, 1232, 1452])
    func `a datagram goes there and back, whatever the path carries`(size: Int, path: Int) throws {
        let ends = try Ends()
        for way in [ends.pair.toAgent, ends.pair.toClient] { way.maximumDatagramSize = path }
        ends.pair.client.pathLimitChanged()
        ends.pair.agent.pathLimitChanged()
        #expect(ends.send(size) == true)
        ends.run(for: .milliseconds(100))
        #expect(ends.client.payloads == [ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0) })])
        #expect(ends.client.endpoints == [Self.endpoint])
        #expect(ends.client.batches == 1)
        #expect(ends.send(4097) == false)
        #expect(ends.pair.client.datagramStatistics.oversize == 1)
    }

    @Test func `a refusal is told`() throws {
        let ends = try Ends(refusal: TunnelRefusal(.limit, reason: "full"))
        #expect(ends.error == .refused(.limit, reason: "full"))
        #expect(ends.clientAssociation == nil)
    }

    @Test func `an agent that takes no datagrams is not even asked`() throws {
        let ends = try Ends(agentIsOld: true)
        #expect(ends.error == .noDatagrams)
        #expect(ends.agentAssociation == nil)
        #expect(ends.pair.client.openStreams == 0)
    }

    @Test func `what is closed at one end is closed at the other`() throws {
        for closesClient in [true, false] {
            let ends = try Ends()
            (closesClient ? ends.clientAssociation : ends.agentAssociation)?.close()
            ends.run(for: .milliseconds(200))
            #expect((closesClient ? ends.agent : ends.client).end == .closedByPeer)
            #expect((closesClient ? ends.client : ends.agent).end == nil)
            #expect(ends.pair.client.openStreams == 0)
            #expect(ends.pair.agent.openStreams == 0)
            // Late ones harm nobody.
            #expect(ends.send(10) == true)
            ends.run(for: .milliseconds(200))
            #expect(ends.client.payloads.isEmpty)
        }
    }

    @Test func `the end of the tunnel is the end of its associations`() throws {
        let ends = try Ends()
        ends.pair.agent.close(saying: "enough")
        ends.run(for: .milliseconds(200))
        #expect(ends.client.end == .tunnelClosed)
        #expect(ends.agent.end == .tunnelClosed)
        #expect(ends.clientAssociation?.isOpen == false)
    }

    @Test func `in a lossy network most datagrams of several pieces come whole, and none comes broken`() throws {
        let ends = try Ends()
        var random = SeededGenerator(11)
        ends.pair.toAgent.loses = { Int.random(in: 0..<10, using: &random) == 0 }
        for _ in 0..<200 {
            #expect(ends.send(2000) == true)
            ends.run(for: .milliseconds(10))
        }
        ends.run(for: .seconds(3))
        let expected = ByteBuffer(bytes: (0..<2000).map { UInt8(truncatingIfNeeded: $0) })
        #expect(ends.agent.payloads.allSatisfy { $0 == expected })
        #expect((120...190).contains(ends.agent.payloads.count), "\(ends.agent.payloads.count) of 200")
        #expect(ends.pair.agent.datagramStatistics.incomplete > 0)
    }

    @Test func `a path that takes nothing makes datagrams wait in bounds, and the newest are sent`() throws {
        let ends = try Ends()
        ends.agent.echoes = false
        ends.pair.client.pathWritabilityChanged(false)
        for number in 0..<2000 {
            _ = ends.clientAssociation?.send(
                ByteBuffer(repeating: 1, count: 1000 + number % 2), TunnelAssociationTests.endpoint)
        }
        _ = ends.clientAssociation?.send(ByteBuffer(string: "last"), TunnelAssociationTests.endpoint)
        ends.pair.client.pathWritabilityChanged(true)
        ends.run(for: .seconds(2))
        #expect(ends.agent.payloads.last == ByteBuffer(string: "last"))
        let statistics = ends.pair.client.datagramStatistics
        #expect(statistics.congested > 1000)
        #expect(statistics.congested + UInt64(ends.agent.payloads.count) == 2001)
    }

    @Test func `frames of no association are counted, and nothing else`() throws {
        let ends = try Ends()
        let stray = AssociationFrame(
            association: AssociationID(rawValue: 77), content: .datagram(Self.endpoint, ByteBuffer(string: "x")))
        #expect(ends.pair.client.session.sendDatagram(stray.encoded()))
        #expect(ends.pair.client.session.sendDatagram(ByteBuffer(bytes: [0, 0xFF])))
        ends.run(for: .milliseconds(100))
        #expect(ends.pair.agent.datagramStatistics.foreign == 2)
        #expect(ends.agent.payloads.isEmpty)
    }
}
