import Crypto
import TestSupport
import Testing

@testable import TLS

@Suite struct PublicKeyPinTests {
    /// What `openssl` makes of a certificate.
    private static func hash(_ file: String) async throws -> String {
        try await ShellCommand.run(
            """
            openssl x509 -in '\(file)' -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary \
                | base64 | tr '+/' '-_' | tr -d '=\\n'
            """)
    }

    @Test func `a pin is the hash of the public key, and a renewed certificate keeps it`() async throws {
        let folder = try TestFolder()
        try await ShellCommand.run(
            """
            set -e
            cd '\(folder.path)'
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=one -keyout key -out one
            openssl req -x509 -key key -days 3 -subj /CN=two -out two
            openssl x509 -in one -outform der -out one.der
            """)
        let pins = try ["one", "two"].map {
            try Identity.load(certificateFile: folder.file($0), keyFile: folder.file("key")).publicKeyPin
        }
        let expected = try await Self.hash(folder.file("one"))
        #expect(pins.map { $0.map { "\($0)" } } == [expected, expected])
        let der = try Identity.contents(of: folder.file("one.der"))
        #expect(PublicKeyPin(ofCertificateDER: der) == pins[0])
        #expect(PublicKeyPin(ofCertificateDER: Array(der.dropLast(70))) == nil)
        #expect(PublicKeyPin(ofCertificateDER: []) == nil)
    }

    @Test func `a certificate of an authority is told from one that vouches for itself`() async throws {
        let folder = try TestFolder()
        let files = try await TestCertificates(in: folder)
        let issued = try Identity.load(certificateFile: files.certificate, keyFile: files.key)
        #expect(!issued.isSelfSigned && issued.dnsNames == ["localhost"])
        #expect(issued.isIssued(for: "localhost") && issued.isIssued(for: "::1") && issued.isIssued(for: "127.0.0.1"))
        #expect(!issued.isIssued(for: "example.org") && !issued.isIssued(for: "192.0.2.1"))
        let own = try Identity.selfSigned(
            commonName: "rtun-server", alternativeNames: ["*.example.org", "a.example.org"])
        #expect(own.isSelfSigned && own.dnsNames == ["a.example.org"])
    }

    @Test func `only the pinned key is accepted`() throws {
        let identity = try Identity.selfSigned(commonName: "a")
        let pin = try #require(identity.publicKeyPin)
        let other = try #require(PublicKeyPin(bytes: [UInt8](repeating: 7, count: 32)))
        let verification = PeerVerification.publicKey(pin)
        #expect(
            verification.rejection(of: identity.leafFingerprint, publicKey: { pin }, byAuthorities: { _ in nil }) == nil
        )
        #expect(
            verification.rejection(of: identity.leafFingerprint, publicKey: { other }, byAuthorities: { _ in nil })?
                .kind
                == .publicKeyMismatch(expected: pin, received: other))
        #expect(verification.rejection(of: nil, publicKey: { pin }, byAuthorities: { _ in nil })?.kind == .missing)
        #expect(
            verification.rejection(of: identity.leafFingerprint, publicKey: { nil }, byAuthorities: { _ in nil })?.kind
                == .publicKeyMismatch(expected: pin, received: nil))
    }
}
