import LibC

/// Who may get at a file that only its owner should get at.
package enum FileAccess {
    /// What is wrong with the permissions of a regular file, as ssh finds fault with keys; nil when nothing is. Of what is no
    /// file, such as a pipe, nobody else gets anything.
    static func complaint(about path: String, holding what: String) -> String? {
        var status = LibC.stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        // A group may be there for the very program.
        let others = status.st_mode & (S_IROTH | S_IWOTH)
        let writers = status.st_mode & (S_IWGRP | S_IWOTH)
        guard others | writers != 0 else { return nil }
        let mode = String(status.st_mode & 0o777, radix: 8)
        let verb = others & S_IROTH != 0 ? "read" : "change"
        return "others can \(verb) the \(what) in \(path) (mode 0\(mode)): chmod 600 \(path)"
    }

    /// The same of a file that all may read, and only its owner or a group of theirs is to change.
    static func complaint(aboutWritersOf path: String, holding what: String) -> String? {
        var status = LibC.stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & S_IWOTH != 0 else {
            return nil
        }
        let mode = String(status.st_mode & 0o777, radix: 8)
        return "others can change the \(what) in \(path) (mode 0\(mode)): chmod o-w \(path)"
    }

    /// What is wrong with a folder in which others can put files of their own; nil when nothing is.
    ///
    /// - Returns: the words, and whether the folder is this user's, who can mend it.
    package static func complaint(aboutWritersOfFolder path: String) -> (words: String, isOwn: Bool)? {
        var status = LibC.stat()
        guard stat(path, &status) == 0, status.st_mode & (S_IWGRP | S_IWOTH) != 0 else { return nil }
        let mode = String(status.st_mode & 0o7777, radix: 8)
        return ("others can write in it (mode 0\(mode))", status.st_uid == geteuid())
    }

    /// Whether it is a file that can be read again and again.
    package static func isRegular(_ path: String) -> Bool {
        var status = LibC.stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Says so on standard error.
    package static func warn(of path: String, holding what: String) {
        Self.warn(Self.complaint(about: path, holding: what))
    }

    /// Says on standard error that others can change a file that they may read.
    package static func warn(ofWritersOf path: String, holding what: String) {
        Self.warn(Self.complaint(aboutWritersOf: path, holding: what))
    }

    private static func warn(_ complaint: String?) {
        if let complaint { StandardStream.error.write("warning: \(complaint)\n") }
    }
}
