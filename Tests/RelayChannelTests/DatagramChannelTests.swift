import NIOCore
import PeerTestSupport
import RelayChannel
import Testing
import UDPRelay

@testable import PeerChannel

/// Two datagram channels in memory.
@Suite struct DatagramChannelTests {
    /// What the user of one end hears.
    private final class User: DatagramChannelDelegate {
        var received: [(UInt32, [UInt8])] = []
        var closedFlows: [FlowID] = []
        var limits: [Int] = []

        func datagramChannel(_ channel: DatagramChannel, received payload: ByteBuffer, of flow: FlowID) {
            self.received.append((flow.rawValue, Array(payload.readableBytesView)))
        }
        func datagramChannelReceiveComplete(_ channel: DatagramChannel) {}
        func datagramChannel(_ channel: DatagramChannel, closedByPeer flow: FlowID) { self.closedFlows.append(flow) }
        func datagramChannelLimitChanged(_ channel: DatagramChannel) { self.limits.append(channel.maximumPayload) }
    }

    @dynamicMemberLookup
    private struct Pair {
        private let carriers: CarrierPair<DatagramChannel>
        let clientUser = User()
        let agentUser = User()

        init() throws {
            self.carriers = try CarrierPair(delay: .zero) {
                try DatagramChannel(
                    PeerCarrierContext(side: $0, peerFingerprint: $1, configuration: $2, eventLoop: $3, path: $4))
            }
            self.client.delegate = self.clientUser
            self.agent.delegate = self.agentUser
            try #require(self.carriers.connect())
            self.toAgent.sent = []
            self.toClient.sent = []
        }

        subscript<Value>(dynamicMember path: KeyPath<CarrierPair<DatagramChannel>, Value>) -> Value {
            self.carriers[keyPath: path]
        }
    }

    @Test func `payloads of one loop turn share records, and the records share a call`() throws {
        let pair = try Pair()
        #expect(pair.client.maximumPayload == 1409)
        #expect(pair.clientUser.limits == [1409])
        for number in 0..<40 {
            pair.client.send(ByteBuffer(repeating: UInt8(number), count: 100), on: FlowID(rawValue: UInt32(number + 1)))
        }
        pair.client.flush()
        // 13 frames of 106 bytes fit 1415; the fourth record is the short one.
        #expect(pair.client.statistics.recordsSent == 4)
        #expect(pair.toAgent.sent.count == 1)
        pair.eventLoop.run()
        #expect(pair.agentUser.received.map(\.0) == Array(1...40))
        #expect(pair.agentUser.received.allSatisfy { $0.1 == [UInt8](repeating: UInt8($0.0 - 1), count: 100) })
        #expect(pair.agent.statistics.recordsReceived == 4)
    }

    @Test func `a payload at the limit fills a datagram of the path`() throws {
        let pair = try Pair()
        pair.client.send(ByteBuffer(repeating: 1, count: 1409), on: FlowID(rawValue: 7))
        pair.client.send(ByteBuffer(), on: FlowID(rawValue: 8))
        pair.client.flush()
        pair.eventLoop.run()
        #expect(pair.toAgent.sent.first?.readableBytes == 1452 + 37 + 6)
        #expect(pair.agentUser.received.map(\.0) == [7, 8])
        #expect(pair.agentUser.received.map(\.1.count) == [1409, 0])
    }

    @Test func `the limit follows the path`() throws {
        let pair = try Pair()
        pair.toAgent.maximumDatagramSize = 1252
        pair.client.pathChanged()
        #expect(pair.client.maximumPayload == 1209)
        pair.toAgent.maximumDatagramSize = 1452
        pair.client.pathChanged()
        #expect(pair.clientUser.limits == [1409, 1209, 1409])
        #expect(pair.client.fits(1409) && !pair.client.fits(1410))
    }

    @Test func `an end that hears nothing for 75 s is over, unless it is asked now and then`() throws {
        let pair = try Pair()
        pair.eventLoop.advanceTime(by: .seconds(200))
        #expect(pair.clientEnd.closed == nil && pair.agentEnd.closed == nil)
        // The client has vanished, and the path is there all the same.
        pair.toAgent.isBroken = true
        pair.eventLoop.advanceTime(by: .seconds(60))
        #expect(pair.agentEnd.closed == nil)
        pair.eventLoop.advanceTime(by: .seconds(16))
        guard case .silent = pair.agentEnd.closed else {
            Issue.record("not closed for silence, but \(String(describing: pair.agentEnd.closed))")
            return
        }
        #expect(!pair.agent.isConnected)
    }

    @Test func `a peer that stops answering is suspect after three seconds, and no more once it speaks`() throws {
        let pair = try Pair()
        pair.toAgent.isBroken = true
        pair.client.send(ByteBuffer(string: "anybody?"), on: FlowID(rawValue: 1))
        pair.client.flush()
        pair.eventLoop.advanceTime(by: .milliseconds(2_900))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [])
        pair.eventLoop.advanceTime(by: .milliseconds(200))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true])
        pair.toAgent.isBroken = false
        // The next question is answered.
        pair.eventLoop.advanceTime(by: .seconds(2))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [true, false])
        #expect(pair.agentEnd.suspicions.map(\.isSuspect) == [])
    }

    @Test func `an idle channel stays calm for as long as questions are answered`() throws {
        let pair = try Pair()
        pair.eventLoop.advanceTime(by: .seconds(65))
        #expect(pair.clientEnd.suspicions.map(\.isSuspect) == [])
        // A question and an answer every ten seconds.
        #expect((6...7).contains(pair.toAgent.sent.count))
        #expect(pair.toAgent.sent.count == pair.toClient.sent.count)
    }

    @Test func `the end of a flow and the end of the channel reach the other side`() throws {
        let pair = try Pair()
        pair.client.sendClosed(FlowID(rawValue: 9))
        pair.client.flush()
        pair.eventLoop.run()
        #expect(pair.agentUser.closedFlows == [FlowID(rawValue: 9)])
        pair.client.close(saying: "enough")
        pair.eventLoop.run()
        guard case .closedHere = pair.clientEnd.closed, case .closedByPeer = pair.agentEnd.closed else {
            Issue.record("\(String(describing: pair.clientEnd.closed)), \(String(describing: pair.agentEnd.closed))")
            return
        }
        #expect(pair.client.isClosed && pair.agent.isClosed)
    }

    @Test func `injected datagrams are only counted`() throws {
        let pair = try Pair()
        pair.client.send(ByteBuffer(string: "genuine"), on: FlowID(rawValue: 1))
        pair.client.flush()
        let genuine = try #require(pair.toAgent.sent.first)
        pair.eventLoop.run()
        // A handshake that takes more than a second, by the clock of OpenSSL, sends a flight again.
        let before = pair.agent.statistics.rejectedDatagrams
        var injected: UInt64 = 0
        let inject = { (datagram: ByteBuffer) in
            pair.toAgent.deliver(datagram, nil)
            injected += 1
        }
        for index in 0..<genuine.readableBytes {
            inject(try #require(genuine.getSlice(at: 0, length: index)))
            var damaged = genuine
            damaged.setInteger(try #require(genuine.getInteger(at: index, as: UInt8.self)) ^ 0x20, at: index)
            inject(damaged)
        }
        inject(genuine)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            inject(
                ByteBuffer(bytes: (0..<Int.random(in: 1...1500)).map { _ in UInt8.random(in: 0...255, using: &random) })
            )
        }
        pair.eventLoop.run()
        #expect(pair.agent.statistics.rejectedDatagrams - before == injected)
        #expect(pair.agentUser.received.count == 1)
        #expect(pair.agentEnd.closed == nil && pair.clientEnd.closed == nil)
        pair.client.send(ByteBuffer(string: "and on"), on: FlowID(rawValue: 1))
        pair.client.flush()
        pair.eventLoop.run()
        #expect(pair.agentUser.received.last?.1 == Array("and on".utf8))
    }
}
