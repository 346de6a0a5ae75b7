import Glibc
import Synchronization

/// Where log lines go: stderr, or a file that can be opened anew after it was rotated away.
package final class LogOutput: Sendable {
    private let path: String?
    private let descriptor: Mutex<Int32>

    /// Lines go to stderr.
    package init() {
        self.path = nil
        self.descriptor = Mutex(StandardStream.error.rawValue)
    }

    /// Lines are appended to the file at `path`, which is created when it does not exist.
    package init(path: String) throws(ProgramError) {
        self.path = path
        self.descriptor = Mutex(try Self.openFile(path))
    }

    deinit {
        if self.path != nil {
            self.descriptor.withLock { _ = close($0) }
        }
    }

    /// Opens the file anew, for example on SIGHUP after a rotation. Lines go on to the old file when it cannot be opened.
    package func reopen() throws(ProgramError) {
        guard let path = self.path else { return }
        let fresh = try Self.openFile(path)
        let old = self.descriptor.withLock { current in
            defer { current = fresh }
            return current
        }
        close(old)
    }

    /// Writes one line, whole: lines of several threads do not mix.
    func write(line: String) {
        self.descriptor.withLock { FileDescriptorWriter.write(line, to: $0) }
    }

    private static func openFile(_ path: String) throws(ProgramError) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw ProgramError(.unavailable, "cannot open the log file \(path): \(SystemError.text(errno))")
        }
        return descriptor
    }
}
