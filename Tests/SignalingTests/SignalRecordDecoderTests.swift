import NIOCore
import Testing

@testable import Signaling

@Suite struct SignalRecordDecoderTests {
    @Test(arguments: [1, 2, 3, 7, 1000])
    func `records are found in whatever pieces they arrive`(step: Int) throws {
        let messages = [1, 5, 300, 70_000].map { ByteBuffer(repeating: UInt8($0 & 0xff), count: $0) }
        var stream = ByteBuffer()
        for message in messages {
            stream.writeImmutableBuffer(SignalRecordDecoder.emptyRecord)
            stream.writeImmutableBuffer(SignalRecordDecoder.record(message))
        }
        var decoder = SignalRecordDecoder()
        var found: [ByteBuffer] = []
        while stream.readableBytes > 0 {
            let piece = stream.readSlice(length: min(step, stream.readableBytes))
            decoder.append(try #require(piece))
            while let message = try decoder.next() { found.append(message) }
        }
        #expect(found == messages)
        #expect(!decoder.isMidRecord)
    }

    @Test func `the largest record is accepted, and a larger one refused before it arrives`() throws {
        let limit = SignalLinkLimits.maximumMessageSize
        var decoder = SignalRecordDecoder()
        decoder.append(SignalRecordDecoder.record(ByteBuffer(repeating: 1, count: limit)))
        #expect(try decoder.next()?.readableBytes == limit)
        decoder.append(ByteBuffer(integer: UInt32(limit + 1)))
        #expect(throws: SignalLinkError.messageTooLarge) { try decoder.next() }
    }

    @Test func `random bytes end in an error or wait for more`() {
        var generator = CountingGenerator(value: 3)
        for _ in 0..<500 {
            var decoder = SignalRecordDecoder()
            for _ in 0..<20 {
                decoder.append(ByteBuffer(bytes: (0..<9).map { _ in UInt8.random(in: 0...255, using: &generator) }))
                do {
                    while try decoder.next() != nil {}
                } catch {
                    break
                }
            }
        }
    }
}
