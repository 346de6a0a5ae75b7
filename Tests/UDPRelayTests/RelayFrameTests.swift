import NIOCore
import Testing

@testable import UDPRelay

struct RelayFrameTests {
    @Test(
        arguments: [
            ([(1, [UInt8]())], [0, 0, 0, 1, 0, 0]),
            ([(0x0102_0304, [9])], [1, 2, 3, 4, 0, 1, 9]),
            ([(7, [1, 2]), (8, [3])], [0, 0, 0, 7, 0, 2, 1, 2, 0, 0, 0, 8, 0, 1, 3]),
        ] as [([(UInt32, [UInt8])], [UInt8])])
    func `frames are laid out as documented`(frames: [(UInt32, [UInt8])], wire: [UInt8]) throws {
        var writer = RelayRecordWriter(limit: 1452)
        for (id, payload) in frames {
            #expect(writer.hasRoom(for: payload.count))
            writer.append(FlowID(rawValue: id), payload: ByteBuffer(bytes: payload))
        }
        var finished: ByteBuffer?
        writer.finish { finished = $0 }
        let record = try #require(finished)
        #expect(Array(record.readableBytesView) == wire)
        let read = try Array(RelayRecordReader(record))
        #expect(read.map(\.flowID.rawValue) == frames.map(\.0))
        #expect(read.map { Array($0.payload.readableBytesView) } == frames.map(\.1))
        writer.finish { _ in Issue.record("nothing was left") }
    }

    @Test(
        arguments: [
            ([], RelayFrameError.emptyRecord),
            ([0, 0, 0, 1, 0], .truncatedHeader(remaining: 5)),
            ([0, 0, 0, 1, 0, 1], .truncatedPayload(claimed: 1, remaining: 0)),
            ([0, 0, 0, 1, 0xFF, 0xFF, 1, 2], .truncatedPayload(claimed: 65535, remaining: 2)),
            ([0, 0, 0, 1, 0, 1, 9, 0], .truncatedHeader(remaining: 1)),
        ] as [([UInt8], RelayFrameError)])
    func `a malformed record is refused as a whole`(wire: [UInt8], error: RelayFrameError) {
        #expect(throws: error) { try RelayRecordReader(ByteBuffer(bytes: wire)) }
    }

    @Test func `records are filled up to the limit and never beyond`() throws {
        var random = SystemRandomNumberGenerator()
        var writer = RelayRecordWriter(limit: 1403)
        var sent: [RelayFrame] = []
        var records: [ByteBuffer] = []
        for _ in 0..<2000 {
            let payload = ByteBuffer(
                repeating: .random(in: 0...255, using: &random), count: .random(in: 0...1397, using: &random))
            #expect(writer.fits(payload.readableBytes))
            let frame = RelayFrame(flowID: FlowID(rawValue: .random(in: 1...9, using: &random)), payload: payload)
            sent.append(frame)
            if !writer.hasRoom(for: payload.readableBytes) { writer.finish { records.append($0) } }
            writer.append(frame.flowID, payload: payload)
        }
        writer.finish { records.append($0) }
        writer.finish { _ in Issue.record("nothing was left") }
        #expect(records.allSatisfy { (1...1403).contains($0.readableBytes) })
        #expect(try records.flatMap { try Array(RelayRecordReader($0)) } == sent)
        #expect(!writer.fits(1398))
    }

    @Test func `random bytes are frames or an error, and never more than they hold`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            let count = Int.random(in: 0...64, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            // Small lengths, so that some of them are well-formed.
            if bytes.count > 5, Bool.random(using: &random) { bytes[4] = 0; bytes[5] &= 31 }
            guard let reader = try? RelayRecordReader(ByteBuffer(bytes: bytes)) else { continue }
            let total = reader.reduce(0) { $0 + RelayFrame.headerLength + $1.payload.readableBytes }
            #expect(total == bytes.count)
        }
    }

    @Test(
        arguments: [
            (ControlMessage.keepalive(token: 0xDEAD_BEEF), [0, 0xDE, 0xAD, 0xBE, 0xEF]),
            (.keepaliveReply(token: 1), [1, 0, 0, 0, 1]),
            (.flowClosed(FlowID(rawValue: 258)), [2, 0, 0, 1, 2]),
        ] as [(ControlMessage, [UInt8])])
    func `control messages are laid out as documented`(message: ControlMessage, wire: [UInt8]) throws {
        #expect(Array(message.encoded().readableBytesView) == wire)
        #expect(try ControlMessage(decoding: ByteBuffer(bytes: wire)) == message)
    }

    @Test func `unknown control messages are ignored, malformed ones refused`() throws {
        #expect(try ControlMessage(decoding: ByteBuffer(bytes: [200, 1, 2, 3])) == nil)
        for wire: [UInt8] in [[], [0], [1, 2, 3], [2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]] {
            #expect(throws: RelayFrameError.malformedControl) { try ControlMessage(decoding: ByteBuffer(bytes: wire)) }
        }
    }
}
