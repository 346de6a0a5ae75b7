import Basics
import Crypto
import TLS
import TestSupport
import Testing

@Suite struct IdentityTests {
    let directory: TestFolder

    init() throws {
        self.directory = try TestFolder()
    }

    @Test func `a self-signed identity survives being written and loaded`() throws {
        let made = try Identity.selfSigned(commonName: "rtun")
        let loaded = try Identity.load(
            certificateFile: self.directory.write("cert.pem", made.certificateChainPEM),
            keyFile: self.directory.write("key.pem", made.privateKeyPEM))
        #expect(loaded.leafFingerprint == made.leafFingerprint)
        #expect(loaded.certificateChainPEM == made.certificateChainPEM)
        #expect(loaded.privateKeyPEM == made.privateKeyPEM)
    }

    @Test func `openssl accepts a self-signed certificate`() throws {
        let identity = try Identity.selfSigned(commonName: "rtun", alternativeNames: ["a.example", "192.0.2.1", "::1"])
        try self.directory.write("cert.pem", identity.certificateChainPEM)
        let text = try self.directory.openssl(
            "x509 -in cert.pem -noout -fingerprint -sha256 -subject -issuer -nameopt RFC2253 -ext subjectAltName "
                + "-checkend 300000000")
        #expect(text.contains(Hex.text(identity.leafFingerprint.bytes, separator: ":").uppercased()))
        #expect(text.contains("subject=CN=rtun"))
        #expect(text.contains("issuer=CN=rtun"))
        #expect(text.contains("DNS:a.example, IP Address:192.0.2.1, IP Address:0:0:0:0:0:0:0:1"))
        #expect(text.contains("will not expire"))
        try self.directory.openssl("verify -CAfile cert.pem cert.pem")
    }

    @Test func `every self-signed identity is a new one`() throws {
        let first = try Identity.selfSigned(commonName: "rtun")
        let second = try Identity.selfSigned(commonName: "rtun")
        #expect(first.leafFingerprint != second.leafFingerprint)
        #expect(first.privateKeyPEM != second.privateKeyPEM)
    }

    @Test func `a common name that X.509 does not allow is refused`() {
        #expect(throws: TLSError.self) { try Identity.selfSigned(commonName: "") }
        #expect(throws: TLSError.self) { try Identity.selfSigned(commonName: String(repeating: "x", count: 65)) }
    }

    @Test func `an identity does not print its key`() throws {
        let identity = try Identity.selfSigned(commonName: "rtun")
        var dumped = ""
        dump(identity, to: &dumped)
        let secret = String(decoding: identity.privateKeyPEM.dropFirst(40).prefix(30), as: UTF8.self)
        #expect(!dumped.contains(secret))
        #expect("\(identity)" == "Identity(\(identity.leafFingerprint))")
    }

    @Test(arguments: [
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem", "EC, PKCS#8"),
        ("ecparam -name secp384r1 -genkey -noout -out key.pem", "EC, traditional"),
        ("genrsa -out key.pem 2048", "RSA, PKCS#8"),
        ("genrsa -traditional -out key.pem 2048", "RSA, traditional"),
    ])
    func `keys of every common kind load`(command: String, kind: String) throws {
        try self.directory.openssl(command)
        try self.directory.openssl("req -x509 -new -key key.pem -subj /CN=test -days 2 -out cert.pem")
        let identity = try Identity.load(
            certificateFile: self.directory.file("cert.pem"), keyFile: self.directory.file("key.pem"))
        // Whatever it was, it is handed on as PKCS#8.
        #expect(String(decoding: identity.privateKeyPEM, as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----"))
    }

    @Test func `a chain keeps its order, and the leaf is what counts`() throws {
        let leaf = try Identity.selfSigned(commonName: "leaf")
        let issuer = try Identity.selfSigned(commonName: "issuer")
        let loaded = try Identity.load(
            certificateFile: self.directory.write(
                "chain.pem", Array("a comment before\n".utf8) + leaf.certificateChainPEM + issuer.certificateChainPEM),
            keyFile: self.directory.write("key.pem", leaf.privateKeyPEM))
        #expect(loaded.leafFingerprint == leaf.leafFingerprint)
        #expect(loaded.certificateChainPEM == leaf.certificateChainPEM + issuer.certificateChainPEM)
    }

    @Test func `certificate and key in one file load`() throws {
        let made = try Identity.selfSigned(commonName: "rtun")
        let file = try self.directory.write("both.pem", made.privateKeyPEM + made.certificateChainPEM)
        #expect(
            try Identity.load(certificateFile: file, keyFile: file).leafFingerprint == made.leafFingerprint)
    }

    @Test func `a key of another certificate is refused, naming both files`() throws {
        let certificate = try self.directory.write("cert.pem", Identity.selfSigned(commonName: "a").certificateChainPEM)
        let key = try self.directory.write("key.pem", Identity.selfSigned(commonName: "b").privateKeyPEM)
        #expect(throws: TLSError.keyDoesNotMatch(certificateFile: certificate, keyFile: key)) {
            try Identity.load(certificateFile: certificate, keyFile: key)
        }
    }

    @Test(arguments: ["-aes256", "-aes256 -traditional"])
    func `an encrypted key is refused as such, without asking for a pass phrase`(option: String) throws {
        try self.directory.openssl("genrsa -passout pass:secret \(option) -out key.pem 2048")
        try self.directory.openssl(
            "req -x509 -new -key key.pem -passin pass:secret -subj /CN=test -days 2 -out cert.pem")
        #expect(throws: TLSError.encryptedKey(path: self.directory.file("key.pem"))) {
            try Identity.load(
                certificateFile: self.directory.file("cert.pem"), keyFile: self.directory.file("key.pem"))
        }
    }

    @Test func `files that cannot be read are named with the system's reason`() throws {
        let made = try Identity.selfSigned(commonName: "rtun")
        let certificate = try self.directory.write("cert.pem", made.certificateChainPEM)
        let missing = self.directory.file("missing.pem")
        #expect(throws: TLSError.cannotReadFile(path: missing, reason: "no such file or directory")) {
            try Identity.load(certificateFile: missing, keyFile: missing)
        }
        #expect(throws: TLSError.cannotReadFile(path: missing, reason: "no such file or directory")) {
            try Identity.load(certificateFile: certificate, keyFile: missing)
        }
        #expect(throws: TLSError.cannotReadFile(path: self.directory.path, reason: "is a directory")) {
            try Identity.load(certificateFile: self.directory.path, keyFile: missing)
        }
        let huge = try self.directory.write("huge.pem", [UInt8](repeating: 0x2d, count: 2 << 20))
        #expect(throws: TLSError.cannotReadFile(path: huge, reason: "larger than 1 MiB")) {
            try Identity.load(certificateFile: huge, keyFile: missing)
        }
    }

    @Test func `a file that is not PEM is named with what was expected`() throws {
        let made = try Identity.selfSigned(commonName: "rtun")
        let certificate = try self.directory.write("cert.pem", made.certificateChainPEM)
        let key = try self.directory.write("key.pem", made.privateKeyPEM)
        for garbage in [[], Array("hello\n".utf8), Array(made.certificateChainPEM.prefix(200)), made.privateKeyPEM] {
            let file = try self.directory.write("garbage.pem", garbage)
            let error = #expect(throws: TLSError.self) { try Identity.load(certificateFile: file, keyFile: key) }
            #expect(error?.description.hasPrefix("no usable certificate in \(file): a PEM file is expected") == true)
        }
        for garbage in [[], Array("hello\n".utf8), Array(made.privateKeyPEM.prefix(60)), made.certificateChainPEM] {
            let file = try self.directory.write("garbage.pem", garbage)
            let error = #expect(throws: TLSError.self) {
                try Identity.load(certificateFile: certificate, keyFile: file)
            }
            #expect(error?.description.hasPrefix("no usable private key in \(file): a PEM file is expected") == true)
        }
        // A damaged block after a good one is not taken for the end.
        let damaged = try self.directory.write(
            "damaged.pem", made.certificateChainPEM + made.certificateChainPEM.prefix(200))
        #expect(throws: TLSError.self) { try Identity.load(certificateFile: damaged, keyFile: key) }
    }

    @Test func `a fingerprint is exactly 32 bytes`() {
        #expect(CertificateFingerprint(bytes: [UInt8](repeating: 1, count: 31)) == nil)
        #expect(CertificateFingerprint(bytes: [UInt8](repeating: 1, count: 33)) == nil)
        let fingerprint = CertificateFingerprint(bytes: [UInt8](repeating: 0xa5, count: 32))
        // As `ssh-keygen -l` and `openssl dgst -sha256 -binary | base64` have it, without padding.
        let text = "SHA256:" + String(repeating: "paWl", count: 10) + "paU"
        #expect(fingerprint?.description == text)
        #expect(CertificateFingerprint(parsing: text) == fingerprint)
        #expect(CertificateFingerprint(parsing: text + "=") == fingerprint)
        for none in ["", "SHA256:", String(text.dropLast()), text + "A", "sha256:" + text.dropFirst(7), "SHA256:*"] {
            #expect(CertificateFingerprint(parsing: none) == nil, "\(none)")
        }
        #expect(CertificateFingerprint(ofDER: [1, 2, 3]).bytes == SHA256.hash([1, 2, 3]))
    }
}
