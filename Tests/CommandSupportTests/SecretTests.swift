import Foundation
import TestSupport
import Testing

@testable import CommandSupport

@Suite struct SecretTests {
    private let folder: TestFolder

    init() throws { self.folder = try TestFolder() }

    private func file(_ contents: String) throws -> String { try self.folder.write(UUID().uuidString, contents) }

    private func load(_ arguments: [String], _ environment: [String: String] = [:]) throws -> String {
        let given = try SecretOptions.parse(arguments).load(environment: { environment[$0] })
        let secret = try given.secret(for: .client)
        return String(decoding: secret.bytes, as: UTF8.self)
    }

    @Test func `the option wins over the environment`() throws {
        #expect(try self.load(["--secret", "a"], ["RTUN_SECRET": "b"]) == "a")
        #expect(try self.load([], ["RTUN_SECRET": "b"]) == "b")
    }

    @Test(arguments: [
        ("sec\n123\n", "sec"), (" sec123 \n\n", "sec123"), ("\n\t\nsec 123\r\n", "sec 123"), ("sec123\r\n", "sec123"),
        ("agent:other\nclient: sec123\nmore", "sec123"),
        ("\u{FEFF}sec123\r\n\r\n", "sec123"), ("sec123", "sec123"),
    ])
    func `what editors add to a file is no part of the secret`(contents: String, secret: String) throws {
        #expect(try self.load(["--secret-file", self.file(contents)], ["RTUN_SECRET": "b"]) == secret)
    }

    @Test func `a missing secret is refused with what to do`() {
        let error = #expect(throws: ProgramError.self) { try self.load([]) }
        #expect(error?.status == .usage)
        #expect(error?.message.contains("--secret-file") == true)
        #expect(error?.message.contains("RTUN_SECRET") == true)
    }

    @Test func `an empty secret is refused, wherever it comes from`() throws {
        let empty = try self.file("\n")
        for (arguments, environment) in [
            (["--secret", ""], [:]), ([], ["RTUN_SECRET": ""]), (["--secret-file", empty], [:]),
        ] as [([String], [String: String])] {
            let error = #expect(throws: ProgramError.self) { try self.load(arguments, environment) }
            #expect(error?.status == .usage)
        }
    }

    @Test func `a file that cannot be read is named`() throws {
        let path = self.folder.file("missing")
        let error = #expect(throws: ProgramError.self) { try self.load(["--secret-file", path]) }
        #expect(error?.status == .unavailable)
        #expect(error?.message == "cannot read the file \(path) given by --secret-file: no such file or directory")
        #expect(throws: ProgramError.self) { try self.load(["--secret-file", self.folder.path]) }
        let large = try self.file(String(repeating: "x", count: 70_000))
        #expect(throws: ProgramError.self) { try self.load(["--secret-file", large]) }
    }

    @Test func `option and file at once are refused`() throws {
        let file = try self.file("x")
        let error = #expect(throws: ProgramError.self) { try self.load(["--secret", "a", "--secret-file", file]) }
        #expect(error?.status == .usage)
    }

    @Test func `the end-to-end secret is optional`() throws {
        let absent = try EndToEndSecretOptions.parse([]).load(environment: { _ in nil })
        #expect(absent?.bytes == nil)
        let secret = try EndToEndSecretOptions.parse(["--e2e-secret", "x"]).load(environment: { _ in nil })
        #expect(secret?.bytes == Array("x".utf8))
    }

    @Test func `printing a secret shows nothing of it`() {
        let secret = Secret(bytes: Array("sec123".utf8))
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\([secret])"] {
            #expect(!text.contains("sec123") && !text.contains("115"))
        }
    }
}
