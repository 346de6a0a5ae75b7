import LibC

/// Files that hold secrets: only their owner gets at them, from their first moment on.
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

    package enum WriteError: Error, Equatable, CustomStringConvertible {
        case system(operation: String, errno: CInt)

        package var description: String {
            switch self {
            case .system(let operation, let code): "\(operation): \(SystemError.text(code))"
            }
        }
    }

    /// What came of making a file.
    package enum Outcome: Equatable {
        case made
        /// There is one, which is as it was: somebody else was faster.
        case exists
    }

    /// Makes a file of mode 0600 at `path`, whole or not at all, and never in place of another.
    ///
    /// It belongs to whom its folder belongs to when this process may give it away, so that a service finds readable what root
    /// has made in its place.
    package static func make(at path: String, _ contents: [UInt8]) throws(WriteError) -> Outcome {
        // The name ends in what nobody guesses, and O_EXCL follows no link.
        let temporary = "\(path).\(UInt64.random(in: .min ... .max))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(operation: "cannot make \(temporary)", errno: errno) }
        defer { unlink(temporary) }
        try Self.complete(descriptor, contents, path, mode: 0o600)
        // Unlike rename(2) a link takes nobody's place.
        guard link(temporary, path) == 0 else {
            if errno == EEXIST { return .exists }
            // Some file systems have no links.
            let lacksLinks = [EPERM, ENOTSUP, EOPNOTSUPP, ENOSYS].contains(errno)
            guard lacksLinks, access(path, F_OK) != 0, rename(temporary, path) == 0 else {
                throw .system(operation: "cannot make \(path)", errno: errno)
            }
            Self.sync(folderOf: path)
            return .made
        }
        Self.sync(folderOf: path)
        return .made
    }

    /// Puts a file of `mode` in the place of the one at `path`, whole or not at all.
    package static func replace(_ path: String, _ contents: [UInt8], mode: UInt32) throws(WriteError) {
        let temporary = "\(path).\(UInt64.random(in: .min ... .max))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(operation: "cannot make \(temporary)", errno: errno) }
        // Without effect once it has its place.
        defer { unlink(temporary) }
        try Self.complete(descriptor, contents, path, mode: mode_t(mode))
        guard rename(temporary, path) == 0 else { throw .system(operation: "cannot replace \(path)", errno: errno) }
        Self.sync(folderOf: path)
    }

    /// Fills and closes it.
    private static func complete(
        _ descriptor: CInt, _ contents: [UInt8], _ path: String, mode: mode_t
    ) throws(WriteError) {
        defer { close(descriptor) }
        try Self.fill(descriptor, contents, path, mode: mode)
        Self.giveAway(descriptor, toOwnerOfFolderOf: path)
    }

    private static func fill(
        _ descriptor: CInt, _ contents: [UInt8], _ path: String, mode: mode_t
    ) throws(WriteError) {
        // Whatever the umask is.
        guard fchmod(descriptor, mode) == 0 else { throw .system(operation: "cannot protect \(path)", errno: errno) }
        var rest = contents[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { LibC.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system(operation: "cannot write \(path)", errno: errno) }
            rest = rest.dropFirst(count)
        }
        guard fsync(descriptor) == 0 else { throw .system(operation: "cannot write \(path)", errno: errno) }
    }

    private static func giveAway(_ descriptor: CInt, toOwnerOfFolderOf path: String) {
        var status = LibC.stat()
        guard geteuid() == 0, stat(Self.folder(of: path), &status) == 0, status.st_uid != 0 else { return }
        _ = fchown(descriptor, status.st_uid, status.st_gid)
    }

    /// So that the name, too, is there after a loss of power.
    private static func sync(folderOf path: String) {
        let descriptor = open(Self.folder(of: path), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Makes a folder of mode 0700, unless there is one. One that is there, empty and this process's own, is closed to others.
    package static func makeFolder(at path: String) throws(WriteError) {
        if mkdir(path, 0o700) == 0 {
            guard chmod(path, 0o700) == 0 else { throw .system(operation: "cannot protect \(path)", errno: errno) }
            return
        }
        guard errno == EEXIST else { throw .system(operation: "cannot make the folder \(path)", errno: errno) }
        var status = LibC.stat()
        guard stat(path, &status) == 0 else { throw .system(operation: "cannot look at \(path)", errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .system(operation: "cannot use \(path)", errno: ENOTDIR) }
        // /tmp would be a mistake, and is not ours to close.
        if status.st_uid == geteuid(), status.st_mode & 0o077 != 0, status.st_mode & 0o1000 == 0,
            Self.isEmpty(path)
        {
            _ = chmod(path, 0o700)
        }
    }

    private static func isEmpty(_ path: String) -> Bool {
        guard let listing = opendir(path) else { return false }
        defer { closedir(listing) }
        var count = 0
        while readdir(listing) != nil { count += 1 }
        return count <= 2
    }
}
