import FileWatch
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

/// When a file is read again.
@Suite(.timeLimit(.minutes(1)))
struct FileReloaderTests {
    private let folder: TestFolder
    private var path: String { self.folder.file("list") }

    init() throws { self.folder = try TestFolder() }

    private struct Missing: Error {}

    /// What has been installed: contents, or that there was nothing to read.
    private final class Log: Sendable {
        private let entries = Mutex<[String]>([])

        var seen: [String] { self.entries.withLock { $0 } }

        func add(_ result: Result<String, any Error>) {
            self.entries.withLock { $0.append((try? result.get()) ?? "failed") }
        }
    }

    /// Watches the file from now on; `stamp` is of the version that counts as read.
    private func watch(loaded stamp: FileStamp?) async throws -> Log {
        let log = Log()
        let path = self.path
        let source = FileReloader<String>.Source(
            paths: [path], interval: .milliseconds(50), settling: .milliseconds(20),
            load: {
                guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { throw Missing() }
                return text
            })
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        try await eventLoop.submit {
            FileReloader(source, loaded: stamp, eventLoop: eventLoop) { log.add($0) }.start()
        }.get()
        return log
    }

    private func write(_ text: String) throws {
        try text.write(toFile: self.path, atomically: true, encoding: .utf8)
    }

    @Test func `what has changed between reading and watching is read`() async throws {
        try self.write("before")
        let stamp = FileStamp(of: [self.path])
        try self.write("meanwhile")
        let log = try await self.watch(loaded: stamp)
        try await eventually(within: .seconds(20), "the reading") { log.seen == ["meanwhile"] }
        try self.write("after")
        try await eventually(within: .seconds(20), "the reading") { log.seen == ["meanwhile", "after"] }
    }

    @Test func `a file that is gone is told of once, and read when it is back`() async throws {
        try self.write("a")
        let log = try await self.watch(loaded: FileStamp(of: [self.path]))
        try FileManager.default.removeItem(atPath: self.path)
        try await eventually(within: .seconds(20), "the reading") { log.seen == ["failed"] }
        try await Task.sleep(for: .milliseconds(300))
        #expect(log.seen == ["failed"])
        try self.write("b")
        try await eventually(within: .seconds(20), "the reading") { log.seen == ["failed", "b"] }
    }
}
