import LibC

/// Reads a whole file of at most 1 MiB, which is plenty for keys and certificates.
func readSmallFile(_ path: String) throws(TLSError) -> [UInt8] {
    let limit = 1 << 20
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
        throw .cannotReadFile(path: path, reason: systemErrorText(errno))
    }
    defer { close(descriptor) }
    var contents: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0 {
            if errno == EINTR { continue }
            throw .cannotReadFile(path: path, reason: systemErrorText(errno))
        }
        if count == 0 { return contents }
        contents += chunk[..<count]
        guard contents.count <= limit else {
            throw .cannotReadFile(path: path, reason: "larger than 1 MiB")
        }
    }
}

/// The system's words for an error number, such as "permission denied": in lower case, to be put inside a sentence.
private func systemErrorText(_ code: CInt) -> String {
    strerror(code).map { String(cString: $0).lowercased() } ?? "error \(code)"
}
