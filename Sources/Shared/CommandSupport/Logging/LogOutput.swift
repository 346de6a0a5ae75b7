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
    private let queue: DispatchQueue
    private let complaint = Mutex(LogRateLimiter(interval: .seconds(60)))
    /// Where lines go when that is a terminal.
    package let terminal: Terminal?
    /// Who has the live line of the terminal that this writes to; nil: this has, if anybody.
    private let host: LogOutput?
    private let live: Mutex<Live>

    private struct Live {
        var line: LiveLine
        /// What is to be shown next, and is not yet; `.some(nil)`: nothing.
        var next: String??
        /// Whether somebody hears that the program is stopped by its terminal (^Z).
        var watchesSuspension = false
        var isOver = false

        mutating func takeNext() -> String?? {
            defer { self.next = nil }
            return self.next
        }
    }

    /// Lines go to `stream`. `other`: what else may write there, and with it is to take turns on a terminal.
    package init(_ stream: StandardStream = .error, beside other: LogOutput? = nil) {
        self.path = nil
        self.name = "log"
        self.descriptor = Mutex(stream.rawValue)
        let terminal = Terminal(stream)
        self.terminal = terminal
        let isShared = terminal.map { terminal in other?.terminal.map { $0.isSame(as: terminal) } ?? false } ?? false
        self.host = isShared ? other : nil
        self.queue = (isShared ? other?.queue : nil) ?? DispatchQueue(label: "log")
        self.live = Mutex(Live(line: LiveLine(isUnicode: terminal?.traits.isUnicode ?? false)))
    }

    /// Lines are appended to the file at `path`, which is created when it does not exist. `name` is what errors call it.
    package init(path: String, called name: String = "log file") throws(ProgramError) {
        self.path = path
        self.name = name
        self.descriptor = Mutex(try Self.openFile(path, called: name))
        self.terminal = nil
        self.host = nil
        self.queue = DispatchQueue(label: "log")
        self.live = Mutex(Live(line: LiveLine()))
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
            let line = (self.host ?? self).withLiveLine { $0.above(line, columns: $1) } ?? line
            self.descriptor.withLock { descriptor in
                if lost > 0 { Self.tell(lost, to: descriptor) }
                if !FileDescriptorWriter.write(line, to: descriptor) { self.couldNotWrite(errno) }
            }
            self.waiting.withLock { $0.bytes -= size }
        }
    }

    // MARK: The live line

    /// Whether there can be a line that stays at the bottom.
    package var canShowLiveLine: Bool { self.terminal?.traits.rewritesLines ?? false }

    /// Shows `text` below all lines of the log, in place of what was there; nil: nothing. Only on a terminal, and only while
    /// this process is in front there.
    package func showLive(_ text: String?) {
        guard self.canShowLiveLine else { return }
        let isUnderWay = self.live.withLock { live in
            defer { live.next = .some(text) }
            return live.next != nil
        }
        // A terminal that takes nothing at the moment gets what is right then.
        if isUnderWay { return }
        self.queue.async {
            self.watchSuspension()
            guard let text = self.live.withLock({ $0.takeNext() }) else { return }
            let bytes = self.withLiveLine { $0.show(text, columns: $1) } ?? ""
            self.descriptor.withLock { _ = FileDescriptorWriter.write(bytes, to: $0) }
        }
    }

    /// On the queue. What `body` makes of the live line; nil when the terminal is not ours.
    private func withLiveLine(_ body: (inout LiveLine, _ columns: Int) -> String) -> String? {
        guard let terminal = self.terminal, terminal.traits.rewritesLines else { return nil }
        return self.live.withLock { live in
            guard !live.isOver else { return nil }
            guard terminal.isOurs else {
                live.line.leave()
                return nil
            }
            return body(&live.line, terminal.columns)
        }
    }

    /// On the queue: wipes the line before the shell's prompt comes, when the program is stopped by its terminal.
    private func watchSuspension() {
        let isWatched = self.live.withLock { live in
            defer { live.watchesSuspension = true }
            return live.watchesSuspension
        }
        guard !isWatched, SignalDisposition.isDefault(SIGTSTP) else { return }
        let source = DispatchSource.makeSignalSource(signal: SIGTSTP, queue: self.queue)
        source.setEventHandler {
            // The source lives as long as its handler, which is as long as the process.
            withExtendedLifetime(source) {
                let end = self.withLiveLine { line, _ in line.clear() } ?? ""
                self.descriptor.withLock { _ = FileDescriptorWriter.write(end, to: $0) }
                kill(getpid(), SIGSTOP)
            }
        }
        source.resume()
    }

    /// Waits until all lines are written, for at most a second. For the end of the program.
    package func flush() {
        let written = DispatchSemaphore(value: 0)
        self.queue.async {
            let lost = self.waiting.withLock { waiting in
                defer { waiting.lost = 0 }
                return waiting.lost
            }
            let end = self.withLiveLine { line, _ in line.clear() } ?? ""
            self.live.withLock { $0.isOver = true }
            self.descriptor.withLock { descriptor in
                FileDescriptorWriter.write(end, to: descriptor)
                if lost > 0 { Self.tell(lost, to: descriptor) }
            }
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
