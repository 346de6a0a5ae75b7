import NIOCore
import Testing

@testable import AppProto

@Suite struct TunnelMessageTests {
    @Test(arguments: ["example.org", "192.0.2.1", "2001:db8::1"])
    func `a request to open survives encoding and decoding`(host: String) throws {
        let request = OpenTcp(host: host, port: 443)
        #expect(try OpenTcp(decoding: request.encoded()) == request)
    }

    @Test(arguments: [StreamOpening.tcp(OpenTcp(host: "example.org", port: 443)), .udpAssociation])
    func `what a stream is opened for survives encoding and decoding`(opening: StreamOpening) throws {
        #expect(try StreamOpening(decoding: opening.encoded()) == opening)
    }

    @Test func `a connection is opened as agents of older versions expect it`() {
        let target = OpenTcp(host: "example.org", port: 443)
        #expect(StreamOpening.tcp(target).encoded() == target.encoded())
    }

    @Test func `an agent that knows no associations finds no target in one`() {
        // What such an agent decodes is an `OpenTcp`, whose host it misses.
        #expect(throws: AppProtoError.self) { try OpenTcp(decoding: StreamOpening.udpAssociation.encoded()) }
    }

    @Test(
        arguments: [
            [0x0A, 1, 0x61, 0x1A, 0],  // a host
            [0x10, 80, 0x1A, 0],  // a port
            [0x0A, 1, 0x61, 0x10, 80, 0x1A, 0],
            [],
        ] as [[UInt8]])
    func `a connection and an association at once are refused`(bytes: [UInt8]) {
        #expect(throws: AppProtoError.self) { try StreamOpening(decoding: ByteBuffer(bytes: bytes)) }
    }

    @Test func `fields of a later version in an association are passed over`() throws {
        #expect(try StreamOpening(decoding: ByteBuffer(bytes: [0x1A, 2, 0x08, 1])) == .udpAssociation)
    }

    @Test func `port zero and ports above 65535 are refused`() {
        for port: [UInt8] in [[], [0x10, 0], [0x10, 0x80, 0x80, 0x04]] {
            #expect(throws: AppProtoError.invalidField("port", expected: "1 to 65535")) {
                try OpenTcp(decoding: ByteBuffer(bytes: [0x0A, 1, 0x61] + port))
            }
        }
    }

    @Test func `a result survives encoding and decoding, with and without an address`() throws {
        let address = try SocketAddress(ipAddress: "2001:db8::2", port: 80)
        for result in [OpenResult(code: .ok, boundAddress: address), OpenResult(code: .policy, reason: "denied")] {
            #expect(try OpenResult(decoding: result.encoded()) == result)
        }
    }

    @Test func `a result that says nothing but yes has bytes all the same`() throws {
        let result = OpenResult(code: .ok)
        #expect(result.encoded() == ByteBuffer(bytes: [0x08, 0]))
        #expect(try OpenResult(decoding: result.encoded()) == result)
    }

    @Test func `a code of a later version counts as failed`() throws {
        #expect(try OpenResult(decoding: ByteBuffer(bytes: [0x08, 99])).code == .failed)
    }
}
