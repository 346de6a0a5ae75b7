package import Foundation
import Synchronization

/// A real process under test: started, listened to, signalled, measured and reaped.
package final class RunningProgram: Sendable {
    /// What a process left behind.
    package enum Ending: Equatable, Sendable {
        case exit(Int32)
        case signal(Int32)
    }

    /// The process's name, for messages.
    package let name: String
    package let pid: pid_t
    package let output = LineLog()
    package let errors = LineLog()
    private let endings: AsyncStream<Ending>
    private let ending = Mutex<Ending?>(nil)
    private let process: Process
    private let input: FileHandle

    /// The folder that holds the programs: `RTUN_BIN`, or where the running test bundle lies.
    package static let folder: String = {
        if let folder = ProcessInfo.processInfo.environment["RTUN_BIN"] { return folder }
        let bundle = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return ((bundle ?? ".") as NSString).deletingLastPathComponent
    }()

    /// Held while a process is started. What Foundation opens for one is for a moment inherited by whatever else is started
    /// just then, and the end of the one would not be seen before that of the other.
    package static let starting = NSLock()

    /// Starts one of ours (`rtun-…`), or a program of the system by its path.
    ///
    /// - Parameter environment: added to this process's own, less any `RTUN_…` variable.
    package init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        Self.starting.lock()
        defer { Self.starting.unlock() }
        let process = Process()
        let path = program.contains("/") ? program : Self.folder + "/" + program
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("RTUN_") }
        // Nor what the user has configured. Browsers make the folder if they can, which nobody can below a file.
        variables["XDG_CONFIG_HOME"] = "/dev/null/nonexistent"
        variables.merge(environment) { $1 }
        process.environment = variables
        let inputPipe = Pipe()
        process.standardInput = inputPipe
        let outputPipe = Pipe()
        let errorPipe = Pipe()
        process.standardOutput = outputPipe
        process.standardError = errorPipe
        let (endings, ended) = AsyncStream.makeStream(of: Ending.self)
        self.endings = endings
        self.name = (program as NSString).lastPathComponent
        process.terminationHandler = { process in
            ended.yield(
                process.terminationReason == .exit
                    ? .exit(process.terminationStatus) : .signal(process.terminationStatus))
            ended.finish()
        }
        try process.run()
        self.pid = process.processIdentifier
        self.process = process
        self.input = inputPipe.fileHandleForWriting
        Self.follow(outputPipe, into: self.output)
        Self.follow(errorPipe, into: self.errors)
    }

    /// Nothing that a test started outlives it, however the test ended.
    deinit {
        self.signal(SIGKILL)
        try? self.input.close()
    }

    /// Reads a stream to its end, on a thread of its own: nothing else that a test does can delay it.
    private static func follow(_ pipe: Pipe, into log: LineLog) {
        let reader = Thread {
            while true {
                let data = pipe.fileHandleForReading.availableData
                if data.isEmpty { break }
                log.append(data)
            }
            log.end()
            // Not when the last reference goes: Foundation keeps some for ever.
            try? pipe.fileHandleForReading.close()
        }
        reader.stackSize = 1 << 19
        reader.start()
    }

    /// How the process ended, waiting for it and for the rest of what it wrote.
    package func end(within limit: Duration = .seconds(10)) async throws -> Ending {
        if let known = self.ending.withLock({ $0 }) { return known }
        let ending = try await within(limit, "the end of \(self.name)") { [endings] in
            for await ending in endings { return ending }
            throw CancellationError()
        }
        self.ending.withLock { $0 = ending }
        // A child of the process may hold its streams open for longer; that is not waited for.
        _ = try? await within(.seconds(2), "the end of its output") { [output, errors] in
            _ = await output.firstLine { _ in false }
            _ = await errors.firstLine { _ in false }
            return true
        }
        return ending
    }

    /// Whether the process still runs.
    package var isRunning: Bool { self.process.isRunning }

    /// Writes to the process's standard input.
    package func write(_ text: String) throws { try self.input.write(contentsOf: Data(text.utf8)) }

    /// Sends a signal; one to a process that has ended is lost.
    package func signal(_ number: Int32) {
        if self.process.isRunning { _ = kill(self.pid, number) }
    }

    /// SIGKILLs the process and waits until it is gone.
    package func kill9() async {
        self.signal(SIGKILL)
        _ = try? await self.end()
    }

    /// Asks the process to end (SIGTERM), and makes it end when it does not.
    package func stop() async {
        guard self.isRunning else { return }
        self.signal(SIGTERM)
        if (try? await self.end(within: .seconds(8))) == nil { await self.kill9() }
    }

    /// Waits for a line on standard output.
    package func line(
        within limit: Duration = .seconds(10), _ what: String, where matches: @escaping @Sendable (String) -> Bool
    ) async throws -> String {
        try await self.line(of: self.output, within: limit, what, from: 0, where: matches)
    }

    /// Waits for a line of the log (standard error).
    ///
    /// - Parameter start: how many of the earliest lines to pass over.
    package func logLine(
        within limit: Duration = .seconds(10), _ what: String, from start: Int = 0,
        where matches: @escaping @Sendable (String) -> Bool
    ) async throws -> String {
        try await self.line(of: self.errors, within: limit, what, from: start, where: matches)
    }

    private func line(
        of log: LineLog, within limit: Duration, _ what: String, from start: Int,
        where matches: @escaping @Sendable (String) -> Bool
    ) async throws -> String {
        do {
            let line = try await within(limit, "\(self.name): \(what)") {
                await log.firstLine(from: start, where: matches)
            }
            guard let line else { throw ProgramEnded(name: self.name, waitingFor: what, log: self.errors.text) }
            return line
        } catch let error as TimedOut {
            throw ProgramSilent(timedOut: error, log: self.errors.text)
        }
    }

    /// Resident memory in bytes: now, and the most it ever was.
    package func residentBytes() throws -> (now: Int, peak: Int) {
        let status = try String(contentsOfFile: "/proc/\(self.pid)/status", encoding: .utf8)
        func kilobytes(_ key: String) -> Int {
            for line in status.split(separator: "\n") where line.hasPrefix(key + ":") {
                return line.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }.first ?? 0
            }
            return 0
        }
        return (kilobytes("VmRSS") * 1024, kilobytes("VmHWM") * 1024)
    }
}

/// A program ended while a test waited for one of its lines.
package struct ProgramEnded: Error, CustomStringConvertible {
    let name: String
    let waitingFor: String
    let log: String
    package var description: String { "\(self.name) ended before \(self.waitingFor); its log:\n\(self.log)" }
}

/// A program did not write the line that a test waited for.
package struct ProgramSilent: Error, CustomStringConvertible {
    let timedOut: TimedOut
    let log: String
    package var description: String { "\(self.timedOut); its log:\n\(self.log)" }
}
