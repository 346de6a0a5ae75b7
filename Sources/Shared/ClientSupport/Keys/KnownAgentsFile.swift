package import Basics
import LibC
import OperatingSystem

/// The file of `--known-agents` on the disk. Its functions wait for the disk, and for other processes that use it.
package struct KnownAgentsFile: Sendable {
    /// Why it cannot be used. The descriptions name the file, and what to do.
    package enum FileError: Error, Hashable, Sendable, CustomStringConvertible {
        case cannotRead(path: String, reason: String)
        case wrong(path: String, KeyLineError)
        case cannotWrite(path: String, reason: String)
        /// No line can say it: the name has something in it that a line cannot have, or the file is full.
        case cannotName(path: String, agent: String)

        package var description: String {
            switch self {
            case .cannotRead(let path, let reason): "cannot read the known agents in \(path): \(reason)"
            case .wrong(let path, let error):
                if let line = error.line {
                    "\(path), line \(line): \(error.problem)"
                } else {
                    "\(path): \(error.problem)"
                }
            case .cannotWrite(let path, let reason): "cannot add a key to \(path): \(reason)"
            case .cannotName(let path, let agent):
                """
                cannot add the key of "\(agent)" to \(path): no line can have that name, or the file is full; give the agent \
                another name
                """
            }
        }
    }

    package let path: String
    /// Whether none there is none known, rather than an error.
    let mayBeMissing: Bool

    package init(path: String, mayBeMissing: Bool) {
        self.path = path
        self.mayBeMissing = mayBeMissing
    }

    /// How long others may keep it locked.
    private static let patience = (tries: 100, microseconds: UInt32(20_000))

    /// What it says.
    package func load() throws(FileError) -> KnownAgents {
        do {
            return try self.parse(try SmallFile.contents(of: self.path, limit: KeyLines.byteLimit))
        } catch let error as SmallFile.ReadError {
            if self.mayBeMissing, error == .system(errno: ENOENT) { return KnownAgents() }
            throw .cannotRead(path: self.path, reason: "\(error)")
        } catch let error as FileError {
            throw error
        } catch {
            throw .cannotRead(path: self.path, reason: "\(error)")
        }
    }

    /// Throws when keys cannot be added, as far as that can be seen without doing so.
    package func checkIsWritable() throws(FileError) {
        let path = self.resolvedPath
        guard access(Self.folder(of: path), W_OK | X_OK) == 0, access(path, W_OK) == 0 || errno == ENOENT else {
            throw .cannotWrite(path: self.path, reason: SystemError.text(errno))
        }
    }

    /// What is wrong with its permissions; nil when nothing is. It holds no secret, but who changes it decides whom to trust.
    var complaint: String? {
        var status = LibC.stat()
        guard stat(self.path, &status) == 0, status.st_mode & (S_IWGRP | S_IWOTH) != 0 else { return nil }
        let mode = String(status.st_mode & 0o777, radix: 8)
        return "others can change the known agents in \(self.path) (mode 0\(mode)): chmod go-w \(self.path)"
    }

    private func parse(_ contents: [UInt8]) throws(FileError) -> KnownAgents {
        do {
            return try KnownAgents(parsing: contents)
        } catch {
            throw .wrong(path: self.path, error)
        }
    }

    /// Adds the first key of an agent, and returns what the file says then. An agent that it knows by now, since somebody else
    /// was faster, is left as it is.
    ///
    /// Another file takes the place of the old one at once, so that nobody ever reads half of it, and two processes lose
    /// nothing of each other: whoever adds has the file locked.
    package func add(
        _ name: String, _ key: CertificateFingerprint, comment: String
    ) throws(FileError) -> (known: KnownAgents, isNew: Bool) {
        let path = self.resolvedPath
        let descriptor = try self.locked(path)
        // This also gives up the lock.
        defer { close(descriptor) }
        let contents: [UInt8]
        do {
            contents = try SmallFile.contents(of: path, limit: KeyLines.byteLimit)
        } catch {
            throw .cannotRead(path: self.path, reason: "\(error)")
        }
        let known = try self.parse(contents)
        guard !known.knows(name) else { return (known, false) }
        guard let added = KnownAgents.adding(name, key, comment: comment, to: contents) else {
            throw .cannotName(path: self.path, agent: name)
        }
        var status = LibC.stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .cannotWrite(path: self.path, reason: SystemError.text(errno))
        }
        do {
            try PrivateFile.replace(path, added.contents, mode: UInt32(status.st_mode & 0o777))
        } catch {
            throw .cannotWrite(path: self.path, reason: "\(error)")
        }
        return (added.known, true)
    }

    /// The file itself, where the path is a link to it.
    private var resolvedPath: String {
        guard let resolved = realpath(self.path, nil) else { return self.path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Opens the file, made if there is none, with a lock on it.
    private func locked(_ path: String) throws(FileError) -> CInt {
        for _ in 0..<Self.patience.tries {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
            guard descriptor >= 0 else { throw .cannotWrite(path: self.path, reason: SystemError.text(errno)) }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                // Whoever had the lock may have put another file in this one's place.
                if Self.isSame(descriptor, path) { return descriptor }
                close(descriptor)
                continue
            }
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK || code == EINTR else {
                throw .cannotWrite(path: self.path, reason: SystemError.text(code))
            }
            usleep(Self.patience.microseconds)
        }
        throw .cannotWrite(path: self.path, reason: "another process keeps it locked")
    }

    private static func isSame(_ descriptor: CInt, _ path: String) -> Bool {
        var open = LibC.stat()
        var named = LibC.stat()
        return fstat(descriptor, &open) == 0 && stat(path, &named) == 0 && open.st_ino == named.st_ino
            && open.st_dev == named.st_dev
    }
}
