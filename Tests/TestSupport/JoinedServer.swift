import Foundation

/// A server that keeps its state in a folder, and programs that join it by links.
package final class JoinedServer: Sendable {
    package let folder: TestFolder
    package let program: RunningProgram
    package let port: Int

    /// Where the state is, in `folder`.
    package static func state(in folder: TestFolder) -> String { folder.file("state") }

    /// Starts a server and waits until it is ready. A further one in the same folder finds the state of the one before.
    package init(in folder: TestFolder? = nil, address: String = "127.0.0.1", port: Int = 0, options: [String] = [])
        async throws
    {
        self.folder = try folder ?? TestFolder()
        self.program = try RunningProgram(
            "rtun-server",
            ["--addr", "\(address):\(port)", "--state-dir", Self.state(in: self.folder), "--log-level", "debug"]
                + options)
        self.port = try await Cluster.readyPort(of: self.program)
    }

    /// What `--print-links` prints: the link of each program.
    package func links(_ options: [String] = []) async throws -> [String: String] {
        let printer = try RunningProgram(
            "rtun-server",
            ["--state-dir", Self.state(in: self.folder), "--addr", "127.0.0.1:\(self.port)", "--print-links"] + options)
        let ending = try await printer.end()
        guard ending == .exit(0) else {
            throw ProgramEnded(name: "rtun-server", waitingFor: "links", log: printer.errors.text)
        }
        var links: [String: String] = [:]
        for line in printer.output.lines {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2 else { throw UnexpectedLine(line: line) }
            links[String(words[0])] = words[1].trimmingCharacters(in: ["'"])
        }
        return links
    }
}
