import LibC

/// Reading of files that are small by nature: secrets, settings, what the kernel says.
enum SmallFile {
    enum ReadError: Error, Equatable, CustomStringConvertible {
        case system(errno: Int32)
        case tooLarge(limit: Int)

        var description: String {
            switch self {
            case .system(let code): SystemError.text(code)
            case .tooLarge(let limit): "larger than \(limit) bytes"
            }
        }
    }

    /// The contents of the file at `path`, at most `limit` bytes.
    static func read(_ path: String, limit: Int) throws(ReadError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(errno: errno) }
        defer { close(descriptor) }
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

/// The system's words for an error number.
package enum SystemError {
    /// For example "permission denied": as strerror(3) has it, in lower case, to be put inside a sentence.
    package static func text(_ code: Int32) -> String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text).lowercased()
    }
}
