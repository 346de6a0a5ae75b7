import Testing

@testable import AppProto

@Suite struct IdentifierTests {
    @Test func `random ids differ and are well formed`() {
        let ids = (0..<100).map { _ in InstanceID.random() }
        #expect(Set(ids).count == 100)
        #expect(ids.allSatisfy { InstanceID(rawValue: $0.rawValue) == $0 })
    }

    @Test(arguments: [
        "", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdeg",
    ])
    func `anything but 32 lower-case hex digits is refused as an instance id`(text: String) {
        #expect(InstanceID(rawValue: text) == nil)
    }

    @Test func `a peer id keeps its bytes`() throws {
        let bytes: [UInt8] = [0xFF, 0, 1, 2, 3, 4, 5, 6, 0x80, 8, 9, 10, 11, 12, 13, 14]
        let id = try #require(PeerID(bytes: bytes))
        #expect(id.bytes == bytes)
        #expect(id.description == "ff00010203040506800809" + "0a0b0c0d0e")
        #expect(PeerID(bytes: [1, 2, 3]) == nil)
    }
}
