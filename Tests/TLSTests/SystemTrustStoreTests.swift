import TestSupport
import Testing

@testable import TLS

@Suite struct SystemTrustStoreTests {
    @Test(arguments: [
        ("Debian", "/etc/ssl/certs/ca-certificates.crt"), ("Alpine", "/etc/ssl/cert.pem"),
        ("Red Hat", "/etc/pki/tls/certs/ca-bundle.crt"),
        ("Fedora", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
        ("Arch", "/etc/ca-certificates/extracted/tls-ca-bundle.pem"), ("SUSE", "/etc/ssl/ca-bundle.pem"),
    ])
    func `authorities are found where each distribution has them`(distribution: String, place: String) throws {
        let root = try TestFolder()
        #expect(SystemTrustStore.find(environment: { _ in nil }, root: root.path).file == nil)
        try root.makeFolder(String(place.prefix(upTo: place.lastIndex(of: "/") ?? place.endIndex)))
        let file = try root.write(String(place.dropFirst()), "")
        let store = SystemTrustStore.find(environment: { _ in "" }, root: root.path)
        #expect(store.file == file, "\(distribution)")
        #expect(store.directories.isEmpty && !store.isChosen)
    }

    @Test func `the environment wins over the distribution`() throws {
        let root = try TestFolder()
        try root.makeFolder("/etc/ssl")
        try root.write("etc/ssl/cert.pem", "")
        let file = SystemTrustStore.find(environment: { $0 == "SSL_CERT_FILE" ? "/my/own.pem" : nil }, root: root.path)
        #expect(file == SystemTrustStore(file: "/my/own.pem", directories: [], isChosen: true))
        let directories = SystemTrustStore.find(environment: { $0 == "SSL_CERT_DIR" ? "/a:/b" : nil }, root: root.path)
        #expect(directories == SystemTrustStore(file: nil, directories: ["/a", "/b"], isChosen: true))
    }

    @Test(arguments: [
        ("4a6481c9.0", true), ("4a6481c9.1", false), ("4a6481c.0", false), ("README", false), ("zzzzzzzz.0", false),
    ])
    func `a directory of hashes is recognised`(name: String, isHashed: Bool) throws {
        let directory = try TestFolder()
        try directory.write(name, "")
        #expect(SystemTrustStore.isHashed(directory.path) == isHashed)
    }

    @Test func `a missing directory is not one of hashes`() {
        #expect(!SystemTrustStore.isHashed("/no/such/directory"))
    }
}
