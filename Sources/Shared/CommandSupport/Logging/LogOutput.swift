import Dispatch
import LibC
import OperatingSystem
import Synchronization

/// Where log lines go: a standard stream, or a file that can be opened anew after it was rotated away.
///
/// A thread of its own writes: a terminal that has been stopped, a pipe that nobody reads or a disk that hangs keep nobody
/// waiting who has something to log. What they cannot take is lost, and counted.
package final class LogOutput: Sendable {
    /// Lines that wait may take so many bytes.
    private static let backlog = 1 << 20

    private struct Waiting {
        var bytes = 0
        /// Lines lost since the last one that was taken.
        var lost = 0
    }

    private let path: String?
    /// What it is to people: `log file`.
    private let name: String
    private let descriptor: Mutex<Int32>
    private let waiting = Mutex(Waiting())
    private let queue = DispatchQueue(label: "log")
    private let complaint = Mutex(LogRateLimiter(interval: .seconds(60)))

    /// Lines go to `stream`.
    package init(_ stream: StandardStream = .error) {
        self.path = nil
        self.name = "log"
        self.descriptor = Mutex(stream.rawValue)
    }

    /// Lines are appended to the file at `path`, which is created when it does not exist. `name` is what errors call it.
    package init(path: String, called name: String = "log file") throws(ProgramError) {
        self.path = path
        self.name = name
        self.descriptor = Mutex(try Self.openFile(path, called: name))
    }

    deinit {
        if self.path != nil {
            self.descriptor.withLock { _ = close($0) }
        }
    }

    /// Opens the file anew, for example on SIGHUP after a rotation. Lines go on to the old file when it cannot be opened.
    package func reopen() throws(ProgramError) {
        guard let path = self.path else { return }
        let fresh = try Self.openFile(path, called: self.name)
        // In its turn: a write may be stuck in the old one.
        self.queue.async {
            let old = self.descriptor.withLock { current in
                defer { current = fresh }
                return current
            }
            close(old)
        }
    }

    /// Says on stderr that the file does not take the log; once a minute.
    private func couldNotWrite(_ error: Int32) {
        guard let path = self.path, self.complaint.withLock({ $0.occurrences(at: .now()) }) != nil else { return }
        StandardStream.error.write("cannot write the \(self.name) \(path): \(SystemError.text(error))\n")
    }

    private static func tell(_ lost: Int, to descriptor: Int32) {
        FileDescriptorWriter.write("\(lost) log lines could not be written in time\n", to: descriptor)
    }

    /// Has one line written, whole: lines of several threads do not mix.
    func write(line: String) {
        let size = line.utf8.count
        let lost = self.waiting.withLock { waiting -> Int? in
            guard waiting.bytes + size <= Self.backlog else {
                waiting.lost += 1
                return nil
            }
            waiting.bytes += size
            defer { waiting.lost = 0 }
            return waiting.lost
        }
        guard let lost else { return }
        self.queue.async {
            self.descriptor.withLock { descriptor in
                if lost > 0 { Self.tell(lost, to: descriptor) }
                if !FileDescriptorWriter.write(line, to: descriptor) { self.couldNotWrite(errno) }
            }
            self.waiting.withLock { $0.bytes -= size }
        }
    }

    /// Waits until all lines are written, for at most a second. For the end of the program.
    func flush() {
        let written = DispatchSemaphore(value: 0)
        self.queue.async {
            let lost = self.waiting.withLock { waiting in
                defer { waiting.lost = 0 }
                return waiting.lost
            }
            if lost > 0 { self.descriptor.withLock { Self.tell(lost, to: $0) } }
            written.signal()
        }
        _ = written.wait(timeout: .now() + .seconds(1))
    }

    /// Throws with exit code 69 when the file cannot be written, or made in its folder; makes none.
    static func check(_ file: String, called name: String) throws(ProgramError) {
        var status = stat()
        if stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            throw ProgramError(.unavailable, "cannot open the \(name) \(file): \(SystemError.text(EISDIR))")
        }
        var path = file
        if access(file, F_OK) != 0 {
            path = file.lastIndex(of: "/").map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
        }
        guard access(path, W_OK) == 0 else {
            throw ProgramError(.unavailable, "cannot open the \(name) \(file): \(SystemError.text(errno))")
        }
    }

    private static func openFile(_ path: String, called name: String) throws(ProgramError) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw ProgramError(.unavailable, "cannot open the \(name) \(path): \(SystemError.text(errno))")
        }
        return descriptor
    }
}
