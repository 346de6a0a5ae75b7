import TestSupport
import Testing

@testable import CommandSupport

@Suite struct SecretFileTests {
    private static func shown(_ file: SecretFile) -> [String] {
        file.entries.map { "\($0.role?.rawValue ?? "any") \(String(decoding: $0.secret.bytes, as: UTF8.self))" }
    }

    @Test(
        arguments: [
            ("one", ["any one"], nil), ("one\ntwo\n", ["any one", "any two"], nil),
            ("agent:a\nclient:c\n", ["agent a", "client c"], nil),
            ("agent: a b \n", ["agent a b"], "blanks at the ends of line 1"),
            ("server:x\nagents:y", ["any server:x", "any agents:y"], nil),
            ("\u{FEFF}one\r\ntwo\r\n", ["any one", "any two"], "the byte order mark, carriage returns at line ends"),
            ("one\n\n \t\n two\t\n", ["any one", "any two"], "blanks at the ends of line 4, 2 blank lines"),
            ("one\none\nagent:one\n", ["any one", "agent one"], nil),
            ("\none", ["any one"], "a blank line"),
        ] as [(String, [String], String?)])
    func `a file is read line by line`(text: String, entries: [String], omissions: String?) throws {
        let file = try SecretFile(parsing: Array(text.utf8))
        #expect(Self.shown(file) == entries)
        #expect(file.omissions == omissions)
    }

    @Test(arguments: [
        ("", SecretFile.Problem.noSecret), ("\n \r\n", .noSecret), ("x\nagent: \n", .nothingBehindRole(line: 2)),
        ((0...64).map { "secret \($0)\n" }.joined(), .tooMany(limit: 64)),
    ])
    func `a file that is of no use is refused`(text: String, problem: SecretFile.Problem) {
        #expect(throws: problem) { try SecretFile(parsing: Array(text.utf8)) }
    }

    @Test func `a peer takes the first line that is for its role or for any`() throws {
        let file = try SecretFile(parsing: Array("agent:a\nshared\nclient:c".utf8))
        #expect(file.secret(for: .agent)?.bytes == Array("a".utf8))
        #expect(file.secret(for: .client)?.bytes == Array("shared".utf8))
        let agents = try SecretFile(parsing: Array("agent:a".utf8))
        #expect(agents.secret(for: .client) == nil)
        let error = #expect(throws: ProgramError.self) {
            try SecretOptions.Given.file(agents, path: "/f").secret(for: .client)
        }
        #expect(error?.message == "the file /f given by --secret-file has no secret for clients")
    }

    @Test(
        arguments: [
            (0o600, nil), (0o400, nil), (0o640, nil),
            (0o644, "others can read the secrets in PATH (mode 0644): chmod 600 PATH"),
            (0o620, "others can change the secrets in PATH (mode 0620): chmod 600 PATH"),
        ] as [(Int, String?)])
    func `a file that others can get at is complained about`(mode: Int, complaint: String?) async throws {
        let folder = try TestFolder()
        let path = try folder.write("secrets", "x")
        try await ShellCommand.run("chmod \(String(mode, radix: 8)) '\(path)'")
        #expect(
            FileAccess.complaint(about: path, holding: "secrets")
                == complaint.map {
                    $0.split(separator: "PATH", omittingEmptySubsequences: false).joined(separator: path)
                })
    }

    @Test func `what is no file is nobody's to read`() {
        #expect(FileAccess.complaint(about: "/dev/null", holding: "secrets") == nil)
        #expect(!FileAccess.isRegular("/dev/null"))
    }

    @Test(
        arguments: [(0o600, false), (0o644, false), (0o664, false), (0o602, true), (0o666, true)] as [(Int, Bool)])
    func `what all may read is not for all to change`(mode: Int, isTold: Bool) async throws {
        let folder = try TestFolder()
        let path = try folder.write("keys", "")
        try await ShellCommand.run("chmod \(String(mode, radix: 8)) '\(path)'")
        let complaint = FileAccess.complaint(aboutWritersOf: path, holding: "keys")
        #expect(
            complaint
                == (isTold
                    ? "others can change the keys in \(path) (mode 0\(String(mode, radix: 8))): chmod o-w \(path)"
                    : nil))
    }
}
