import TLS
import Testing

@Suite struct HashTests {
    @Test func `SHA-256 of abc is the digest of FIPS 180-4`() {
        #expect(
            SHA256.hash(Array("abc".utf8)) == hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
        #expect(SHA256.hash([]) == hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
    }

    /// RFC 4231 §4.
    @Test(arguments: [
        (
            hex(String(repeating: "0b", count: 20)), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            hex(String(repeating: "aa", count: 20)), hex(String(repeating: "dd", count: 50)),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            hex("0102030405060708090a0b0c0d0e0f10111213141516171819"), hex(String(repeating: "cd", count: 50)),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            hex(String(repeating: "aa", count: 131)),
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func `HMAC-SHA256 agrees with RFC 4231`(key: [UInt8], message: [UInt8], expected: String) {
        #expect(HMAC.sha256(key: key, message) == hex(expected))
        let half = message.count / 2
        #expect(HMAC.sha256(key: key, Array(message[..<half]), [], Array(message[half...])) == hex(expected))
    }

    /// RFC 2202 §3.
    @Test(arguments: [
        (
            hex(String(repeating: "0b", count: 20)), Array("Hi There".utf8),
            "b617318655057264e28bc0b6fb378c8ef146be00"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        ),
        (
            hex(String(repeating: "aa", count: 20)), hex(String(repeating: "dd", count: 50)),
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3"
        ),
        (
            hex(String(repeating: "aa", count: 80)),
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        ),
    ])
    func `HMAC-SHA1 agrees with RFC 2202`(key: [UInt8], message: [UInt8], expected: String) {
        #expect(message.withUnsafeBytes { HMAC.sha1(key: key, $0) } == hex(expected))
    }

    @Test func `HMAC accepts an empty key and an empty message`() {
        // From RFC 2104's definition, with a block of zeros for the key.
        #expect(
            HMAC.sha256(key: [], []) == hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"))
        #expect(
            HMAC.sha1(key: [], UnsafeRawBufferPointer(start: nil, count: 0))
                == hex("fbdb1d1b18aa6c08324b7d64b71fb76370690e1d"))
    }

    /// RFC 7914 §12.
    @Test(
        arguments: [
            (
                "", "", 16, 1, 1,
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                    + "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"
            ),
            (
                "password", "NaCl", 1024, 8, 16,
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                    + "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
            ),
            (
                "pleaseletmein", "SodiumChloride", 16384, 8, 1,
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                    + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
            ),
        ] as [(String, String, UInt64, UInt64, UInt64, String)])
    func `scrypt agrees with RFC 7914`(
        secret: String, salt: String, n: UInt64, r: UInt64, p: UInt64, expected: String
    ) throws {
        let key = try KeyDerivation.scrypt(
            secret: Array(secret.utf8), salt: Array(salt.utf8), n: n, r: r, p: p, length: 64)
        #expect(key == hex(expected))
    }

    @Test func `scrypt refuses parameters that are invalid or too expensive`() {
        #expect(throws: TLSError.self) {
            try KeyDerivation.scrypt(secret: [1], salt: [2], n: 15, r: 8, p: 1, length: 32)
        }
        #expect(throws: TLSError.self) {
            try KeyDerivation.scrypt(secret: [1], salt: [2], n: 1 << 20, r: 8, p: 1, length: 32)
        }
    }

    @Test func `constant-time comparison agrees with ==`() {
        #expect(constantTimeEquals([], []))
        #expect(constantTimeEquals([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2]))
        #expect(!constantTimeEquals([], [0]))
    }

    @Test func `random bytes have the length asked for and differ`() {
        #expect(SecureRandom.bytes(0).isEmpty)
        #expect(SecureRandom.bytes(32).count == 32)
        #expect(SecureRandom.bytes(32) != SecureRandom.bytes(32))
    }
}
