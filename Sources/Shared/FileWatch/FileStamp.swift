import LibC

/// What tells one version of files from the next without reading them.
package struct FileStamp: Equatable, Sendable {
    private let parts: [Part]

    private struct Part: Equatable {
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int
    }

    /// `nil` while one of the files is missing.
    package init?(of paths: [String]) {
        var parts: [Part] = []
        for path in paths {
            var status = LibC.stat()
            guard stat(path, &status) == 0 else { return nil }
            parts.append(
                Part(
                    inode: UInt64(status.st_ino), size: Int64(status.st_size),
                    seconds: Int(status.modificationTime.tv_sec),
                    nanoseconds: Int(status.modificationTime.tv_nsec)))
        }
        self.parts = parts
    }
}
