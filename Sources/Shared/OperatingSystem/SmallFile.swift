import LibC

/// Reading of files that are small by nature: keys, secrets, settings, what the kernel says.
package enum SmallFile {
    package enum ReadError: Error, Equatable, CustomStringConvertible {
        case system(errno: CInt)
        case tooLarge(limit: Int)

        package var description: String {
            switch self {
            case .system(let code): SystemError.text(code)
            case .tooLarge(let limit): "larger than \(limit) bytes"
            }
        }
    }

    /// What is in the file at `path`, at most `limit` bytes.
    package static func contents(of path: String, limit: Int) throws(ReadError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(errno: errno) }
        defer { close(descriptor) }
        return try Self.contents(of: descriptor, limit: limit)
    }

    /// What is left in an open file, at most `limit` bytes.
    static func contents(of descriptor: CInt, limit: Int) throws(ReadError) -> [UInt8] {
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = LibC.read(descriptor, &chunk, chunk.count)
            if count == 0 { return contents }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw .system(errno: errno)
            }
            guard contents.count + count <= limit else { throw .tooLarge(limit: limit) }
            contents.append(contentsOf: chunk[..<count])
        }
    }
}
