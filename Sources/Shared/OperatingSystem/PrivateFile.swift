import LibC

/// Files with secrets: only their owner reads them, from their first moment on.
package enum PrivateFile {
    package enum ReadError: Error, Equatable {
        case system(errno: CInt)
        case tooLarge(limit: Int)
        /// Others than the owner may read or change it; `mode` is what it has.
        case open(mode: UInt32)
        /// It is a directory, a device or the like.
        case notAFile
    }

    /// What is in the file at `path`, at most `limit` bytes.
    ///
    /// Its owner is this user, and nobody else may read it. A file that belongs to somebody else, as an administrator's, may be
    /// for a group too: otherwise this user could not read it at all.
    package static func contents(of path: String, limit: Int) throws(ReadError) -> [UInt8] {
        // Whoever opens a FIFO waits for a writer otherwise.
        let descriptor = LibC.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .system(errno: errno) }
        defer { close(descriptor) }
        var status = LibC.stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notAFile }
        let forbidden: mode_t = status.st_uid == geteuid() ? 0o077 : 0o027
        guard status.st_mode & forbidden == 0 else { throw .open(mode: UInt32(status.st_mode & 0o7777)) }
        do {
            return try SmallFile.contents(of: descriptor, limit: limit)
        } catch {
            switch error {
            case .system(let code): throw .system(errno: code)
            case .tooLarge(let limit): throw .tooLarge(limit: limit)
            }
        }
    }

    /// Makes the file at `path`, mode 0600, whole or not at all; an `errno` when that fails. One that is there stays, and counts
    /// as `EEXIST`.
    package static func create(_ path: String, _ contents: [UInt8]) throws(CreationError) {
        // The name ends in what nobody guesses, and O_EXCL follows no link.
        let temporary = "\(path).\(UInt64.random(in: .min ... .max))"
        let descriptor = LibC.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CreationError(errno: errno) }
        var failure = Self.write(contents, to: descriptor, mode: 0o600)
        if close(descriptor) != 0, failure == nil { failure = errno }
        // Two that make it at the same time shall end with the same file. A file system without links has the last one's.
        if failure == nil, link(temporary, path) != 0 {
            failure = errno
            if failure == EPERM || failure == ENOTSUP, access(path, F_OK) != 0 {
                failure = rename(temporary, path) == 0 ? nil : errno
            }
        }
        unlink(temporary)
        if let failure { throw CreationError(errno: failure) }
    }

    /// Puts a file with `contents` in the place of the one at `path`, whole or not at all; an `errno` when that fails.
    package static func replace(_ path: String, _ contents: [UInt8], mode: UInt32) throws(CreationError) {
        let temporary = "\(path).\(UInt64.random(in: .min ... .max))"
        let descriptor = LibC.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CreationError(errno: errno) }
        var failure = Self.write(contents, to: descriptor, mode: mode_t(mode))
        if close(descriptor) != 0, failure == nil { failure = errno }
        if failure == nil, rename(temporary, path) != 0 { failure = errno }
        if let failure {
            unlink(temporary)
            throw CreationError(errno: failure)
        }
    }

    package struct CreationError: Error, Equatable {
        package let errno: CInt
    }

    /// The `errno` of what went wrong.
    private static func write(_ contents: [UInt8], to descriptor: CInt, mode: mode_t) -> CInt? {
        // The umask may have taken something away.
        guard fchmod(descriptor, mode) == 0 else { return errno }
        var rest = contents[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { LibC.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            rest = rest.dropFirst(count)
        }
        return fsync(descriptor) == 0 ? nil : errno
    }
}
