import AppProto
import NIOCore
import NIOEmbedded
import NIOPosix
import TestSupport
import Testing

@testable import Signaling

/// What a peer sends over the bridge, up to its link.
@Suite struct BridgeSenderTests {
    private struct Fixture {
        let loop = EmbeddedEventLoop()
        let near: MemoryLink
        let far: MemoryLink
        let farMessages = RecordingLinkDelegate()
        let connection: SignalConnection
        let sender: BridgeSender
        let clientDelegate: Forwarding

        init() {
            (self.near, self.far) = MemoryLink.pair(on: self.loop)
            self.far.delegate = self.farMessages
            self.connection = SignalConnection(link: self.near, side: .peer)
            self.sender = BridgeSender(eventLoop: self.loop)
            self.clientDelegate = Forwarding(sender: self.sender)
            self.connection.delegate = self.clientDelegate
            self.connection.start()
            self.sender.use(self.connection)
        }

        func received() -> [Bridge] {
            self.loop.run()
            return self.farMessages.unreliable.compactMap { Bridge(envelope: $0) }
        }
    }

    private final class Forwarding: SignalConnectionDelegate {
        let sender: BridgeSender

        init(sender: BridgeSender) {
            self.sender = sender
        }

        func connection(_ connection: SignalConnection, received request: SignalRequest) {}
        func connection(_ connection: SignalConnection, receivedEvent event: Envelope.Body) {}
        func connectionClosed(_ connection: SignalConnection, reason: SignalCloseReason) {}
        func connectionBecameWritable(_ connection: SignalConnection) { self.sender.drain() }
    }

    private func datagram(_ peer: PeerID, _ bytes: Int = 100) -> Bridge {
        Bridge(peerID: peer, datagrams: ByteBuffer(repeating: 1, count: bytes))
    }

    @Test func `datagrams of one loop turn go with one flush`() {
        let fixture = Fixture()
        for _ in 0..<10 { fixture.sender.send(self.datagram(.random())) }
        #expect(fixture.received().count == 10)
        #expect(fixture.near.flushes == 1)
    }

    @Test func `datagrams wait for room, in fair shares, and not for long`() {
        let fixture = Fixture()
        let (first, second) = (PeerID.random(), PeerID.random())
        fixture.near.limitRoom(to: 1)
        for _ in 0..<20 { fixture.sender.send(self.datagram(first, 1400)) }
        fixture.sender.send(self.datagram(second, 1400))
        #expect(fixture.received().count == 1)
        fixture.near.limitRoom(to: 3)
        #expect(fixture.received().dropFirst().contains { $0.peerID == second })
        fixture.loop.advanceTime(by: .milliseconds(201))
        fixture.near.limitRoom(to: 100)
        #expect(fixture.received().count == 4)
        #expect(fixture.sender.drops.tooOld == 17)
    }

    @Test func `a batch is split into messages that the link carries well`() {
        let fixture = Fixture()
        fixture.near.preferredUnreliableSize = 1300
        fixture.sender.send(
            Bridge(peerID: .random(), datagrams: ByteBuffer(repeating: 1, count: 5000), segmentSize: 1200))
        let received = fixture.received()
        #expect(received.map(\.datagrams.readableBytes) == [1200, 1200, 1200, 1200, 200])
        #expect(received.allSatisfy { $0.segmentSize == nil })
    }

    @Test func `without a connection everything is dropped and counted`() {
        let fixture = Fixture()
        fixture.near.limitRoom(to: 0)
        fixture.sender.send(self.datagram(.random()))
        fixture.loop.run()
        fixture.sender.use(nil)
        fixture.sender.send(self.datagram(.random()))
        fixture.near.limitRoom(to: 10)
        #expect(fixture.received().isEmpty)
        #expect(fixture.sender.withoutConnection == 1)
        #expect(fixture.sender.drops.ended == 1)
    }

    @Test func `the datagrams on their way between event loops are limited`() {
        let inbox = BridgeInbox()
        #expect(inbox.add(self.datagram(.random(), 60_000)))
        for _ in 0..<100 { #expect(!inbox.add(self.datagram(.random(), 60_000))) }
        let taken = inbox.takeAll()
        #expect(taken.count == 8)
        #expect(inbox.dropped == 93)
        #expect(inbox.takeAll().isEmpty)
        #expect(inbox.add(self.datagram(.random(), 60_000)))
    }
}
