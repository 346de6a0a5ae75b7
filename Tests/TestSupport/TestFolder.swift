import Foundation

/// A folder for one test's files, removed with the value, and at the latest with the process.
package final class TestFolder: Sendable {
    package let path: String

    package init() throws {
        self.path = Self.all + "/" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }

    /// Where the folders of this process are. What is left when it ends goes then, whoever still holds it; and what a
    /// process has left that was killed, or died, goes with the next one.
    private static let all: String = {
        let parent = NSTemporaryDirectory()
        let prefix = "rtun-tests-"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] where name.hasPrefix(prefix) {
            guard let pid = pid_t(name.dropFirst(prefix.count)), kill(pid, 0) != 0, errno == ESRCH else { continue }
            try? FileManager.default.removeItem(atPath: parent + name)
        }
        atexit { try? FileManager.default.removeItem(atPath: TestFolder.all) }
        return parent + prefix + "\(getpid())"
    }()

    /// Makes a folder in here, with those above it.
    package func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: self.file(name), withIntermediateDirectories: true)
    }

    /// Writes a file and returns its path.
    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String { try self.write(name, Array(text.utf8)) }

    /// Writes a file and returns its path.
    @discardableResult
    package func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = self.file(name)
        try Data(bytes).write(to: URL(fileURLWithPath: file), options: .atomic)
        return file
    }

    package func file(_ name: String) -> String { self.path + "/" + name }
}

/// A certificate authority and a server certificate that it signed for localhost, 127.0.0.1 and ::1, made by `openssl`.
package struct TestCertificates: Sendable {
    package let authority: String
    package let certificate: String
    package let key: String

    /// - Parameter keyType: what `openssl req -newkey` takes: "rsa:2048", or "ec -pkeyopt ec_paramgen_curve:P-256".
    package init(
        in folder: TestFolder, keyType: String = "ec -pkeyopt ec_paramgen_curve:P-256", name: String = "server"
    )
        async throws
    {
        self.authority = folder.file("\(name)-ca.pem")
        self.certificate = folder.file("\(name).pem")
        self.key = folder.file("\(name).key")
        let names = try folder.write(
            "\(name).ext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n")
        let script = """
            set -e
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=rtun test CA' \
                -keyout '\(self.authority).key' -out '\(self.authority)'
            openssl req -newkey \(keyType) -nodes -subj '/CN=localhost' -keyout '\(self.key)' -out '\(self.certificate).csr'
            openssl x509 -req -in '\(self.certificate).csr' -CA '\(self.authority)' -CAkey '\(self.authority).key' \
                -CAcreateserial -days 30 -extfile '\(names)' -out '\(self.certificate)'
            """
        try await ShellCommand.run(script)
    }
}

/// A shell command that has to succeed.
package enum ShellCommand {
    /// A command that ended otherwise than with 0.
    package struct Failed: Error, CustomStringConvertible {
        let command: String
        let ending: RunningProgram.Ending
        let text: String
        package var description: String { "\(self.command)\nended with \(self.ending):\n\(self.text)" }
    }

    /// Runs `script` with bash and returns what it wrote to standard output.
    @discardableResult
    package static func run(_ script: String, within limit: Duration = .seconds(60)) async throws -> String {
        let (ending, output, errors) = try await self.outcome(of: script, within: limit)
        guard ending == .exit(0) else { throw Failed(command: script, ending: ending, text: output + errors) }
        return output
    }

    /// Runs `script` with bash: how it ended, and what it wrote to standard output and standard error.
    package static func outcome(
        of script: String, within limit: Duration = .seconds(60)
    ) async throws -> (ending: RunningProgram.Ending, output: String, errors: String) {
        let program = try RunningProgram("/bin/bash", ["-c", script])
        do {
            let ending = try await program.end(within: limit)
            return (ending, program.output.text, program.errors.text)
        } catch {
            program.signal(9)
            throw error
        }
    }
}
