import LibC
import OperatingSystem

/// A socket in the file system that listens, for its user alone (mode 0600).
///
/// It gets its name last: what has the name has the mode and listens, so that nobody else can get in at any moment, and a
/// client never finds a socket that nobody listens on. What is left of a program that was killed is replaced; a socket that
/// somebody listens on is not.
package final class UnixListeningSocket: Sendable {
    /// A dot and six characters.
    static let suffixLength = 7

    /// Whose it becomes when it is handed to a channel, which closes it.
    package let descriptor: CInt
    package let path: UnixSocketPath
    private let device: dev_t
    private let inode: ino_t

    /// Throws with exit code 69 when it cannot be had.
    package init(_ path: UnixSocketPath) throws(ProgramError) {
        try Self.makeRoom(for: path)
        let name = path.path + "." + Self.randomSuffix()
        let descriptor = LibC.socket(AF_UNIX, SocketKind.stream, 0)
        guard descriptor >= 0 else { throw Self.error(path, errno) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        do throws(ProgramError) {
            // At no moment is there a file that others may open.
            let mask = umask(0o177)
            let isBound = Self.withAddress(name) { LibC.bind(descriptor, $0, $1) } == 0
            let code = errno
            umask(mask)
            guard isBound else { throw Self.error(path, code) }
            guard chmod(name, 0o600) == 0, listen(descriptor, Self.backlog) == 0, let status = Self.status(of: name),
                rename(name, path.path) == 0
            else {
                let code = errno
                unlink(name)
                throw Self.error(path, code)
            }
            self.device = status.st_dev
            self.inode = status.st_ino
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.path = path
    }

    /// So many clients may wait.
    package static let backlog: CInt = 4096

    /// Takes the file away, unless somebody has put another one in its place.
    package func remove() {
        guard let status = Self.status(of: self.path.path), status.st_dev == self.device, status.st_ino == self.inode
        else { return }
        unlink(self.path.path)
    }

    /// Makes sure that nothing that somebody needs has the name.
    private static func makeRoom(for path: UnixSocketPath) throws(ProgramError) {
        guard let status = self.status(of: path.path) else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ProgramError(
                .unavailable,
                "cannot listen on \(path): there is a file of that name that is no socket; it is left alone")
        }
        let descriptor = LibC.socket(AF_UNIX, SocketKind.stream, 0)
        guard descriptor >= 0 else { throw self.error(path, errno) }
        defer { close(descriptor) }
        // With a full queue a connection would be waited for.
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        let isConnected = self.withAddress(path.path) { LibC.connect(descriptor, $0, $1) } == 0
        switch isConnected ? 0 : errno {
        case ECONNREFUSED, ENOENT:
            return
        case 0, EAGAIN, EINPROGRESS:
            throw ProgramError(.unavailable, "cannot listen on \(path): another program listens there")
        case let code:
            throw self.error(path, code)
        }
    }

    private static func randomSuffix() -> String {
        String((1..<self.suffixLength).compactMap { _ in "0123456789abcdefghijklmnopqrstuvwxyz".randomElement() })
    }

    /// Of the file itself, not of what a symbolic link points to; nil when there is none.
    private static func status(of path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    /// - Parameter path: not longer than ``UnixSocketPath`` allows, with the suffix.
    private static func withAddress<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            // The rest is zero already.
            room.copyBytes(from: path.utf8.prefix(room.count - 1))
        }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func error(_ path: UnixSocketPath, _ code: CInt) -> ProgramError {
        let advice =
            switch code {
            case ENOENT, ENOTDIR: "; its folder has to be there"
            case EACCES, EPERM, EROFS: "; this user has to have the right to write to its folder"
            default: ""
            }
        return ProgramError(.unavailable, "cannot listen on \(path): \(SystemError.text(code))\(advice)")
    }
}
