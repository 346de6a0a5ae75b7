import NIOCore
import Testing

@testable import QUIC

@Suite struct `guards of a connection` {
    private func at(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .milliseconds(milliseconds) }

    @Test func `a closed connection answers ever more rarely`() {
        var farewell = Farewell(ByteBuffer(string: "bye"))
        #expect((1...40).filter { _ in farewell.answers() } == [1, 2, 4, 8, 16, 32])
    }

    @Test func `a peer gets 256 connection ids in ten seconds, and no more`() {
        var ids = LocalConnectionIDs(at: self.at(0))
        let early = (0..<257).map { _ in ids.issue(.random(), at: self.at(10_000)) }
        #expect(early == Array(repeating: true, count: 256) + [false])
        let late = ids.issue(.random(), at: self.at(10_001))
        #expect(late)
        #expect(ids.takeChanges()?.issued.count == 257)
    }

    @Test func `what has become of ids is told once`() {
        var ids = LocalConnectionIDs(at: self.at(0))
        let (first, second) = (ConnectionID.random(), ConnectionID.random())
        ids.begin(with: [first])
        _ = ids.issue(second, at: self.at(1))
        ids.retire(first)
        let changes = ids.takeChanges()
        #expect(changes?.issued == [first, second])
        #expect(changes?.retired == [first])
        #expect(ids.takeChanges() == nil)
    }

    enum Contact: Sendable { case sent, heard, ended }

    /// What happens at which time, and since when something then waits for an answer.
    @Test(
        arguments: [
            ([], nil), ([(5, Contact.sent)], 5), ([(5, .sent), (9, .sent)], 5), ([(5, .sent), (9, .heard)], nil),
            ([(5, .sent), (9, .heard), (12, .sent)], 12), ([(5, .sent), (9, .ended)], nil),
        ] as [([(Int64, Contact)], Int64?)])
    func `silence counts from the first packet without an answer`(course: [(Int64, Contact)], since: Int64?) {
        var contact = PeerContact(at: self.at(0))
        for (time, event) in course {
            switch event {
            case .sent: contact.sent(at: self.at(time))
            case .heard: contact.heard(at: self.at(time))
            case .ended: contact.end()
            }
        }
        #expect(contact.unansweredSince == since.map { self.at($0) })
        let heardAt = course.last { $0.1 == .heard }?.0
        #expect(contact.hasHeard == (heardAt != nil))
        #expect(contact.lastReceived == self.at(heardAt ?? 0))
    }

    @Test func `datagrams leave singly after two round trips without a sign of life`() {
        var contact = PeerContact(at: self.at(0))
        #expect(contact.mayOffload(at: self.at(100_000), roundTrip: .milliseconds(40)))
        contact.sent(at: self.at(100))
        #expect(contact.mayOffload(at: self.at(204), roundTrip: .milliseconds(40)))
        #expect(!contact.mayOffload(at: self.at(205), roundTrip: .milliseconds(40)))
        contact.heard(at: self.at(206))
        #expect(contact.mayOffload(at: self.at(1000), roundTrip: .milliseconds(40)))
    }

    @Test func `a flush keeps its buffer for as long as there is a backlog`() {
        var flush = Flush()
        var buffer = flush.takeBuffer(hasBulk: false)
        #expect(buffer.capacity < Flush.maxTransmitBytes)
        buffer.writeString("a packet")
        flush.filled(buffer, bytes: buffer.readableBytes, isLast: false)
        buffer = ByteBuffer()
        // More comes: room for all that one send takes.
        buffer = flush.takeBuffer(hasBulk: false)
        #expect(buffer.capacity >= Flush.maxTransmitBytes && buffer.readableBytes == 0)
        flush.filled(buffer, bytes: 0, isLast: true)
        buffer = ByteBuffer()
        #expect(flush.isDrained)
        flush.end(hasBulk: true)
        #expect(!flush.isDrained)
        #expect(flush.takeBuffer(hasBulk: false).capacity >= Flush.maxTransmitBytes)
        flush.end(hasBulk: false)
        #expect(flush.takeBuffer(hasBulk: false).capacity < Flush.maxTransmitBytes)
    }

    @Test func `streams and datagrams take turns`() {
        var flush = Flush()
        #expect((0..<4).map { _ in flush.streamsGoFirst() } == [false, true, false, true])
    }
}
