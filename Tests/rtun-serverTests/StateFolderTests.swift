import CommandSupport
import Foundation
import Signaling
import TLS
import TestSupport
import Testing

@testable import rtun_server

/// What a server keeps.
@Suite struct StateFolderTests {
    private let folder: TestFolder

    init() throws { self.folder = try TestFolder() }

    private func mode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    private func state(_ name: String = "state") throws -> StateFolder {
        try #require(StateFolder(option: self.folder.file(name), systemd: nil))
    }

    @Test func `a folder in which others can write is refused, with what mends it`() throws {
        let state = try self.state()
        _ = try state.open(wantsSecrets: true, certificateName: nil)
        try FileManager.default.setAttributes([.posixPermissions: 0o770], ofItemAtPath: state.path)
        let error = #expect(throws: ProgramError.self) { try state.open(wantsSecrets: true, certificateName: nil) }
        #expect(error?.status == .configuration && error?.message.contains("chmod 700") == true)
    }

    @Test func `the first start makes what is missing, and the second keeps it`() throws {
        let state = try self.state()
        let first = try state.open(wantsSecrets: true, certificateName: "rtun.example.com")
        #expect(first.hasMade)
        let names = ["secrets", "key", "certificate.pem"].sorted()
        #expect(try FileManager.default.contentsOfDirectory(atPath: state.path).sorted() == names)
        #expect(try self.mode(state.path) == 0o700)
        for name in names { #expect(try self.mode("\(state.path)/\(name)") == 0o600, "\(name)") }
        let contents = try names.map { try Data(contentsOf: URL(fileURLWithPath: "\(state.path)/\($0)")) }

        let second = try state.open(wantsSecrets: true, certificateName: "other.example.com")
        #expect(!second.hasMade)
        #expect(try names.map { try Data(contentsOf: URL(fileURLWithPath: "\(state.path)/\($0)")) } == contents)
        #expect(first.key.statelessResetKey == second.key.statelessResetKey)
        let secrets = try SecretOptions.read(state.secretsFile)
        #expect(secrets.entries.map(\.role) == [.agent, .client])
        #expect(secrets.entries.allSatisfy { $0.secret.bytes.count == 43 })
        #expect(try state.certificate.load().isSelfSigned)
    }

    @Test func `what is given otherwise is not made`() throws {
        let state = try self.state()
        _ = try state.open(wantsSecrets: false, certificateName: nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: state.path) == ["key"])
    }

    @Test func `a single file that is lost is made again, and the others stay`() throws {
        let state = try self.state()
        let before = try state.open(wantsSecrets: true, certificateName: "a").key
        try FileManager.default.removeItem(atPath: state.secretsFile)
        let after = try state.open(wantsSecrets: true, certificateName: "a")
        #expect(after.hasMade && before.statelessResetKey == after.key.statelessResetKey)
    }

    @Test func `a folder that is there and full stays as open as it is, and the files are closed`() throws {
        try self.folder.makeFolder("state")
        let state = try self.state()
        try self.folder.write("state/other", "x")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: state.path)
        _ = try state.open(wantsSecrets: true, certificateName: "a")
        #expect(try self.mode(state.path) == 0o755)
        #expect(try self.mode(state.secretsFile) == 0o600)
    }

    @Test func `a damaged key ends with 78, and a folder that is a file with 69`() throws {
        try self.folder.makeFolder("state")
        try self.folder.write("state/key", "nonsense\n")
        let damaged = #expect(throws: ProgramError.self) {
            try self.state().open(wantsSecrets: true, certificateName: nil)
        }
        #expect(damaged?.status == .configuration)
        try self.folder.write("file", "x")
        let file = #expect(throws: ProgramError.self) {
            try self.state("file").open(wantsSecrets: true, certificateName: nil)
        }
        #expect(file?.status == .unavailable)
    }

    @Test(
        arguments: [
            (nil, nil, nil), ("/a/", nil, "/a"), ("/a", "/b", "/a"), (nil, "/b:/c", "/b"), (nil, "", nil),
            ("/", nil, "/"),
        ] as [(String?, String?, String?)])
    func `an option names the folder, or systemd does`(option: String?, systemd: String?, path: String?) {
        let folder = StateFolder(option: option, systemd: systemd)
        #expect(folder?.path == path)
        #expect(folder?.isChosen != (option == nil) || folder == nil)
    }

    @Test func `a unit's folder leaves a server behind a proxy as it was`() throws {
        let path = self.folder.file("state")
        let given = try SecretOptions.parse(["--secret", "0123456789abcdef"])
        let unit = try ServerCredentials(
            given, files: nil, folder: StateFolder(option: nil, systemd: path), name: "a")
        #expect(unit.certificate == nil && unit.quicCertificate != nil && unit.ownKey != nil && unit.secretFile == nil)
        let chosen = try ServerCredentials(
            given, files: nil, folder: StateFolder(option: path, systemd: nil), name: "a")
        #expect(chosen.certificate != nil)
        let fresh = try ServerCredentials(
            SecretOptions.parse([]), files: nil, folder: StateFolder(option: nil, systemd: path), name: "a")
        #expect(fresh.certificate != nil && fresh.secretFile == "\(path)/secrets")
    }

    @Test func `links hold what each program needs`() throws {
        let identity = try Identity.selfSigned(commonName: "a")
        let links = JoiningLinks(
            host: "rtun.example.com", port: 8888, hasHTTPS: true, certificate: identity,
            secret: { (Secret(bytes: Array($0.rawValue.utf8)), true) })
        let lines = links.lines
        #expect(lines.map { $0.prefix { $0 != " " } } == ["rtun-agent", "rtun-socks", "rtun-relay"])
        for (line, role) in zip(lines, ["agent", "client", "client"]) {
            let text = try #require(line.split(separator: " ").last)
            #expect(text.hasPrefix("'rtun://rtun.example.com:8888/?") && text.hasSuffix("#\(role)'"))
            let link = try ServerLink(parsing: String(text))
            #expect(link.pin == identity.publicKeyPin && link.transports == [.quic, .https] && link.name == nil)
            #expect(link.role == (role == "agent" ? .agent : .client))
        }
        let partly = JoiningLinks(
            host: "192.0.2.1", port: 1, hasHTTPS: false, certificate: identity,
            secret: { $0 == .client ? (Secret(bytes: [0x61]), false) : nil })
        #expect(partly.lines.count == 2)
        let link = try ServerLink(
            parsing: try #require(partly.lines.first?.split(separator: " ").last.map(String.init)))
        #expect(link.role == nil && link.transports == [.quic])
    }

    @Test func `with an authority's certificate a link has no pin, and its name where the host is another`()
        async throws
    {
        let files = try await TestCertificates(in: self.folder)
        let identity = try Identity.load(certificateFile: files.certificate, keyFile: files.key)
        for (host, name) in [("localhost", nil), ("127.0.0.1", nil), ("192.0.2.1", "localhost")] as [(String, String?)]
        {
            let links = JoiningLinks(
                host: host, port: 1, hasHTTPS: true, certificate: identity,
                secret: { _ in (Secret(bytes: [0x61]), false) })
            let link = try ServerLink(
                parsing: try #require(links.lines.first?.split(separator: " ").last.map(String.init)))
            #expect(link.pin == nil && link.name == name)
        }
    }
}
