import Basics
import Testing
import TestSupport

@testable import TLS

/// Keys of strangers' certificates.
@Suite struct CertificateKeyTests {
    private let identity: ProcessIdentity

    init() throws {
        self.identity = try ProcessIdentity(commonName: "test")
    }

    @Test func `a signature is that of one key over one message`() throws {
        let key = try CertificateKey(ofDER: self.identity.certificate)
        #expect(key.fingerprint == self.identity.identity.leafFingerprint)
        let message = Array("message".utf8)
        for _ in 0..<50 {
            let signature = self.identity.sign(message)
            #expect((8...72).contains(signature.count))
            #expect(key.verifies(signature, of: message))
            #expect(!key.verifies(signature, of: message + [0]))
            for index in signature.indices {
                var changed = signature
                changed[index] ^= 1
                #expect(!key.verifies(changed, of: message))
            }
            #expect(!key.verifies(signature + [0], of: message))
            #expect(!key.verifies(Array(signature.dropLast()), of: message))
        }
        #expect(!key.verifies([], of: message))
        let other = try CertificateKey(ofDER: try ProcessIdentity(commonName: "test").certificate)
        #expect(!other.verifies(self.identity.sign(message), of: message))
    }

    @Test func `an identity that is kept proves the same key each time`() throws {
        let folder = try TestFolder()
        let path = folder.file("identity.pem")
        let first = try ProcessIdentity.keeping(in: path, commonName: "test")
        let again = try ProcessIdentity.keeping(in: path, commonName: "other")
        #expect(first.fingerprint == again.fingerprint && first.isKept && again.isKept)
        #expect(try CertificateKey(ofDER: first.certificate).verifies(again.sign([1]), of: [1]))
    }

    @Test(arguments: [
        "-algorithm ED25519", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
    ])
    func `keys of other kinds are refused`(kind: String) async throws {
        let folder = try TestFolder()
        try await ShellCommand.run(
            """
            cd '\(folder.path)' && openssl genpkey \(kind) -out key.pem \
                && openssl req -x509 -new -key key.pem -subj /CN=x -outform DER -out cert.der
            """)
        let certificate = try Identity.contents(of: folder.file("cert.der"))
        #expect(throws: CertificateKey.Rejection.notP256) { try CertificateKey(ofDER: certificate) }
    }

    @Test func `a key that is no point of the curve is refused`() throws {
        var certificate = self.identity.certificate
        let point = try #require(
            certificate.indices.first { certificate[$0...].starts(with: [0x03, 0x42, 0x00, 0x04]) })
        for index in (point + 4)..<(point + 68) { certificate[index] = 1 }
        #expect(throws: CertificateKey.Rejection.notOnCurve) { try CertificateKey(ofDER: certificate) }
        // Compressed, and at infinity.
        for form in [2, 3, 0] as [UInt8] {
            certificate[point + 3] = form
            #expect(throws: CertificateKey.Rejection.notP256) { try CertificateKey(ofDER: certificate) }
        }
    }

    @Test func `what is cut off, longer than it says, or none is malformed`() throws {
        let certificate = self.identity.certificate
        for count in 0..<certificate.count {
            #expect(throws: CertificateKey.Rejection.malformed) {
                try CertificateKey(ofDER: Array(certificate.prefix(count)))
            }
        }
        #expect(throws: CertificateKey.Rejection.malformed) { try CertificateKey(ofDER: certificate + [0]) }
        let long = certificate + [UInt8](repeating: 0, count: 2049 - certificate.count)
        #expect(throws: CertificateKey.Rejection.tooLarge(byteCount: 2049)) { try CertificateKey(ofDER: long) }
    }

    @Test func `no change of a byte traps`() throws {
        var generator = SeededGenerator(1)
        for _ in 0..<5000 {
            var certificate = self.identity.certificate
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                certificate[Int.random(in: certificate.indices, using: &generator)] = .random(
                    in: 0...255, using: &generator)
            }
            guard let key = try? CertificateKey(ofDER: certificate) else { continue }
            #expect(certificate == self.identity.certificate || key.fingerprint != self.identity.fingerprint)
        }
    }

    @Test(
        arguments: [
            ([0x30, 0], []), ([0x30, 2, 1, 2, 9], [1, 2]), ([0x30, 0x81, 0x80] + Array(repeating: 7, count: 128), nil),
            ([0x30], nil), ([0x30, 3, 1, 2], nil), ([0x30, 0x80, 0, 0], nil), ([0x30, 0x81, 1, 7], nil),
            ([0x30, 0x82, 0, 1, 7], nil), ([0x30, 0x83, 0, 0, 1, 7], nil), ([0x30, 0x82, 1], nil), ([0x31, 0], nil),
            ([0x30, 0xff], nil),
        ] as [([UInt8], [UInt8]?)])
    func `elements of DER are read in one way only`(bytes: [UInt8], content: [UInt8]?) {
        var reader = DERReader(bytes[...])
        let element = reader.next(tag: 0x30)
        let expected = bytes.count == 131 ? Array(repeating: 7, count: 128) : content
        #expect(element.map { Array($0.content) } == expected)
    }
}
