import Basics
import NIOCore
import Testing

@testable import UDPAssociation

@Suite struct DatagramSchedulerTests {
    private static let endpoint = Endpoint(host: .address(IPAddress(parsing: "192.0.2.1")!), port: 53)
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let download = AssociationID(rawValue: 1)
    private let game = AssociationID(rawValue: 2)

    private func append(
        _ size: Int, of association: AssociationID, to scheduler: inout DatagramScheduler, tag: UInt8 = 0,
        at now: NIODeadline = Self.start
    ) {
        scheduler.append(
            ByteBuffer(repeating: tag, count: size), Self.endpoint, of: association, at: now)
    }

    @Test func `one association's datagrams keep their order`() {
        var scheduler = DatagramScheduler()
        for tag in 0..<10 as Range<UInt8> { self.append(100, of: self.game, to: &scheduler, tag: tag) }
        var tags: [UInt8] = []
        while let item = scheduler.next(at: Self.start) { tags += item.payload.readableBytesView.prefix(1) }
        #expect(tags == Array(0..<10))
        #expect(scheduler.isEmpty)
    }

    @Test func `a small datagram does not wait behind a download`() throws {
        var scheduler = DatagramScheduler()
        for _ in 0..<200 { self.append(1400, of: self.download, to: &scheduler) }
        self.append(60, of: self.game, to: &scheduler)
        let order = (0..<4).compactMap { _ in scheduler.next(at: Self.start)?.association }
        #expect(order.contains(self.game), "\(order)")
    }

    @Test func `associations with a backlog get equal shares of bytes, whatever their datagrams' size`() {
        var scheduler = DatagramScheduler()
        for _ in 0..<150 { self.append(1272, of: self.download, to: &scheduler) }
        for _ in 0..<600 { self.append(72, of: self.game, to: &scheduler) }
        var bytes: [AssociationID: Int] = [:]
        for _ in 0..<350 {
            guard let item = scheduler.next(at: Self.start) else { break }
            bytes[item.association, default: 0] += item.payload.readableBytes + 128
        }
        let (first, second) = (bytes[self.download] ?? 0, bytes[self.game] ?? 0)
        #expect(abs(first - second) <= 3000, "\(first) and \(second)")
    }

    @Test func `when too much waits the oldest goes, of the one who has most`() throws {
        var scheduler = DatagramScheduler()
        self.append(100, of: self.game, to: &scheduler, tag: 1)
        for number in 0..<1000 { self.append(1400, of: self.download, to: &scheduler, tag: UInt8(number % 200)) }
        #expect(scheduler.dropped > 600)
        var (games, downloads): ([UInt8], [UInt8]) = ([], [])
        while let item = scheduler.next(at: Self.start) {
            let tag = try #require(item.payload.getInteger(at: 0, as: UInt8.self))
            if item.association == self.game { games.append(tag) } else { downloads.append(tag) }
        }
        #expect(games == [1])
        #expect(downloads.last == 199)
        #expect((downloads.count + 1) * 1528 <= 600 << 10)
    }

    @Test func `small ones cost something as well`() {
        var scheduler = DatagramScheduler()
        for _ in 0..<100_000 { self.append(0, of: self.game, to: &scheduler) }
        var count = 0
        while scheduler.next(at: Self.start) != nil { count += 1 }
        #expect(count == 4096)
    }

    @Test func `what has waited for too long is not sent`() {
        var scheduler = DatagramScheduler()
        self.append(100, of: self.game, to: &scheduler, tag: 1)
        self.append(100, of: self.download, to: &scheduler, tag: 2, at: Self.start + .milliseconds(400))
        let item = scheduler.next(at: Self.start + .milliseconds(501))
        #expect(item?.payload == ByteBuffer(repeating: 2, count: 100))
        #expect(scheduler.dropped == 1)
        #expect(scheduler.next(at: Self.start + .milliseconds(501)) == nil)
    }

    @Test func `what is left of an association that is over is forgotten`() {
        var scheduler = DatagramScheduler()
        for _ in 0..<10 {
            self.append(100, of: self.game, to: &scheduler)
            self.append(100, of: self.download, to: &scheduler)
        }
        _ = scheduler.next(at: Self.start)
        scheduler.remove(self.game)
        var count = 0
        while let item = scheduler.next(at: Self.start) {
            #expect(item.association == self.download)
            count += 1
        }
        #expect(count == 10 || count == 9)
        #expect(scheduler.dropped == 0)
    }
}
