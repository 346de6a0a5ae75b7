import Foundation
import NIOCore
import TLS

/// A directory that is removed at the end of the test.
final class TemporaryDirectory {
    let path: String

    init() throws {
        self.path = NSTemporaryDirectory() + "rtun-tls-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: self.path)
    }

    /// Makes a directory in here, with those above it.
    func makeDirectory(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: self.path + name, withIntermediateDirectories: true)
    }

    /// Writes a file and returns its path.
    func write(_ bytes: [UInt8], as name: String) throws -> String {
        let path = self.path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// Writes text to a file and returns its path.
    func write(_ text: String, as name: String) throws -> String {
        try self.write(Array(text.utf8), as: name)
    }

    /// Runs `openssl` in this directory; the words of `command` are separated by spaces.
    @discardableResult
    func openssl(_ command: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + command.split(separator: " ").map(String.init)
        process.currentDirectoryURL = URL(fileURLWithPath: self.path)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CommandFailed(command: command, output: text)
        }
        return text
    }

    /// The path of a file in here.
    func file(_ name: String) -> String {
        self.path + "/" + name
    }
}

struct CommandFailed: Error {
    let command: String
    let output: String
}

extension Identity {
    /// One for all tests that do not care which.
    static let shared = try? Identity.selfSigned(
        commonName: "rtun test", alternativeNames: ["broker.example", "*.wild.example", "127.0.0.1", "::1"])
}
