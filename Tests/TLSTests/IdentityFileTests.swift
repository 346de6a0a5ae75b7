import Foundation
import LibC
import OperatingSystem
import TestSupport
import Testing

@testable import TLS

/// Keys that are kept in files.
@Suite struct IdentityFileTests {
    private let folder: TestFolder
    private let path: String

    init() throws {
        self.folder = try TestFolder()
        self.path = self.folder.file("identity.pem")
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: self.folder.path)
    }

    private func mode() -> UInt32 {
        var status = LibC.stat()
        return stat(self.path, &status) == 0 ? UInt32(status.st_mode & 0o7777) : 0
    }

    @Test(arguments: [0o000, 0o077] as [mode_t]) func `the file is private from its first moment on`(mask: mode_t)
        throws
    {
        // The mask is the process's: this says nothing about other tests, which make private files only.
        let before = umask(mask)
        defer { umask(before) }
        _ = try ProcessIdentity.keeping(in: self.path, commonName: "test")
        #expect(self.mode() == 0o600)
        #expect(try self.names() == ["identity.pem"])
    }

    @Test(arguments: [0o644, 0o640, 0o604, 0o660, 0o602, 0o601] as [mode_t])
    func `a file that others can read or change is refused, with what mends it`(mode: mode_t) throws {
        let identity = try ProcessIdentity.keeping(in: self.path, commonName: "test")
        chmod(self.path, mode)
        let error = #expect(throws: ProcessIdentity.FileError.self) {
            try ProcessIdentity.keeping(in: self.path, commonName: "test")
        }
        #expect(error == .open(path: self.path, mode: UInt32(mode)))
        #expect(error?.description.contains("chmod 600 \(self.path)") == true)
        #expect(throws: ProcessIdentity.FileError.self) { try ProcessIdentity.check(self.path) }
        for mode in [0o600, 0o400] as [mode_t] {
            chmod(self.path, mode)
            #expect(try ProcessIdentity.keeping(in: self.path, commonName: "test").fingerprint == identity.fingerprint)
        }
    }

    @Test func `what is no key with its certificate is refused, and stays as it is`() throws {
        let identity = try Identity.selfSigned(commonName: "a")
        let other = try Identity.selfSigned(commonName: "b")
        for contents in [
            [], Array("nonsense".utf8), identity.certificateChainPEM, identity.privateKeyPEM,
            identity.certificateChainPEM + other.privateKeyPEM, [UInt8](repeating: 0, count: 70_000),
        ] {
            unlink(self.path)
            #expect(try PrivateFile.make(at: self.path, contents) == .made)
            #expect(throws: ProcessIdentity.FileError.unusable(path: self.path)) {
                try ProcessIdentity.keeping(in: self.path, commonName: "test")
            }
            #expect(try PrivateFile.contents(of: self.path, limit: 100_000) == contents)
        }
        // In either order.
        unlink(self.path)
        _ = try PrivateFile.make(at: self.path, identity.privateKeyPEM + identity.certificateChainPEM)
        #expect(try ProcessIdentity.keeping(in: self.path, commonName: "test").fingerprint == identity.leafFingerprint)
    }

    @Test func `two that make it at the same time end with one key`() async throws {
        let path = self.path
        let fingerprints = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask { "\(try ProcessIdentity.keeping(in: path, commonName: "test").fingerprint)" }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(fingerprints.count == 1)
        #expect(try self.names() == ["identity.pem"])
    }

    @Test func `directories and places that there are not are told`() throws {
        #expect(throws: ProcessIdentity.FileError.unusable(path: self.folder.path)) {
            try ProcessIdentity.keeping(in: self.folder.path, commonName: "test")
        }
        let missing = self.folder.file("no/such/file")
        let error = #expect(throws: ProcessIdentity.FileError.self) {
            try ProcessIdentity.keeping(in: missing, commonName: "test")
        }
        #expect(error == .cannotCreate(path: missing, reason: "no such file or directory"))
        #expect(throws: Never.self) { try ProcessIdentity.check(missing) }
    }

    @Test func `a link that leads nowhere is not followed`() throws {
        let target = self.folder.file("target")
        symlink(target, self.path)
        #expect(throws: ProcessIdentity.FileError.self) {
            try ProcessIdentity.keeping(in: self.path, commonName: "test")
        }
        #expect(access(target, F_OK) != 0)
    }
}
