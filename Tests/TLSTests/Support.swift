import Foundation
import NIOCore
import TLS
import TestSupport

extension TestFolder {
    /// Runs `openssl` in this folder; the words of `command` are separated by spaces.
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
