import AppProto
import NIOCore
import Testing

@testable import Tunnel

struct TunnelMessageReaderTests {
    private let framed = TunnelMessageReader.frame(OpenTcp(host: "example.org", port: 443).encoded())

    @Test func `a message and the bytes after it are told apart`() throws {
        var input = self.framed
        input.writeString("early")
        var reader = TunnelMessageReader()
        let message = try #require(try reader.read(from: &input))
        #expect(try OpenTcp(decoding: message) == OpenTcp(host: "example.org", port: 443))
        #expect(String(buffer: input) == "early")
    }

    @Test func `a message may arrive byte by byte`() throws {
        var reader = TunnelMessageReader()
        for (offset, byte) in self.framed.readableBytesView.enumerated() {
            var input = ByteBuffer(bytes: [byte])
            let message = try reader.read(from: &input)
            #expect(input.readableBytes == 0)
            #expect((message != nil) == (offset == self.framed.readableBytes - 1))
        }
    }

    @Test(arguments: [0, 2049, 65535]) func `a length that no message has is refused at once`(length: Int) {
        var input = ByteBuffer()
        input.writeInteger(UInt16(length))
        var reader = TunnelMessageReader()
        #expect(throws: TunnelMessageReader.Failure.badLength(length)) { try reader.read(from: &input) }
    }

    @Test func `the longest message fits`() throws {
        var input = TunnelMessageReader.frame(ByteBuffer(repeating: 7, count: TunnelMessageReader.maximumLength))
        var reader = TunnelMessageReader()
        #expect(try reader.read(from: &input)?.readableBytes == TunnelMessageReader.maximumLength)
    }

    @Test func `the longest answer fits`() throws {
        let result = OpenResult(
            code: .failed, boundAddress: try SocketAddress(ipAddress: "2001:db8::1", port: 65535),
            reason: String(repeating: "x", count: AppProtoLimits.reason))
        #expect(result.encoded().readableBytes <= TunnelMessageReader.maximumLength)
    }
}
