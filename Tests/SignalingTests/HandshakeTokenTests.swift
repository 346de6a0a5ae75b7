import AppProto
import Testing

@testable import Signaling

@Suite struct HandshakeTokenTests {
    private let key = HandshakePair.key.serverKey
    private let token = ResumeToken(
        instanceID: InstanceID(rawValue: "00112233445566778899aabbccddeeff") ?? .random(),
        createdAtMilliseconds: 1_700_000_000_123, expireAtMilliseconds: 0)

    @Test func `a resume token opens for its name and key only`() {
        let sealed = self.token.sealed(name: "egress", with: self.key)
        #expect(ResumeToken(opening: sealed, name: "egress", with: self.key) == self.token)
        #expect(ResumeToken(opening: sealed, name: "egres", with: self.key) == nil)
        #expect(ResumeToken(opening: sealed, name: "egress", with: HandshakePair.otherKey.serverKey) == nil)
    }

    @Test func `every changed bit of a resume token is noticed`() {
        let sealed = self.token.sealed(name: "egress", with: self.key)
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(ResumeToken(opening: changed, name: "egress", with: self.key) == nil)
        }
        #expect(ResumeToken(opening: [], name: "egress", with: self.key) == nil)
        #expect(ResumeToken(opening: sealed + [0], name: "egress", with: self.key) == nil)
    }

    @Test func `a sessions token is good until it expires`() {
        let token = SessionsToken.make(expiry: 1000, key: self.key)
        #expect(SessionsToken.isValid(token, now: 999, key: self.key))
        #expect(!SessionsToken.isValid(token, now: 1000, key: self.key))
        #expect(!SessionsToken.isValid(token, now: 0, key: HandshakePair.otherKey.serverKey))
        #expect(!SessionsToken.isValid(token.replacing(".1000.", with: ".9999."), now: 0, key: self.key))
    }

    @Test(arguments: [
        "", "rtun1", "rtun1..", "rtun1.1000", "rtun1.-1.aa", "rtun1.99999999999999999999.aa", "rtun1.1.a.b",
    ])
    func `anything but a sessions token is refused`(text: String) {
        #expect(!SessionsToken.isValid(text, now: 0, key: self.key))
    }

    @Test func `the key is scrypt's and differs by secret`() throws {
        let first = try SharedKey(secret: Array("correct horse".utf8))
        let again = try SharedKey(secret: Array("correct horse".utf8))
        let other = try SharedKey(secret: Array("correct horsf".utf8))
        #expect(first.serverKey.statelessResetKey == again.serverKey.statelessResetKey)
        #expect(first.serverKey.statelessResetKey != other.serverKey.statelessResetKey)
        #expect("\(first)" == "SharedKey")
    }
}
