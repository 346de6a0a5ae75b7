import LibC
import TestSupport
import Testing

@testable import CommandSupport

@Suite struct `sockets in the file system` {
    private let folder: TestFolder
    private let path: UnixSocketPath

    init() throws {
        self.folder = try TestFolder()
        self.path = try UnixSocketPath(parsing: "unix:" + self.folder.file("socket"))
    }

    private func names() throws -> [String] {
        var names: [String] = []
        let directory = try #require(opendir(self.folder.path))
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    @Test func `are for their user alone, and go with the program`() throws {
        let mask = umask(0)
        defer { umask(mask) }
        let socket = try UnixListeningSocket(self.path)
        defer { close(socket.descriptor) }
        var status = stat()
        #expect(lstat(self.path.path, &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o600)
        #expect(umask(0) == 0)
        #expect(try self.names() == ["socket"])
        socket.remove()
        #expect(try self.names() == [])
    }

    @Test func `replace what a program that was killed has left`() throws {
        let old = try UnixListeningSocket(self.path)
        close(old.descriptor)
        let new = try UnixListeningSocket(self.path)
        defer { close(new.descriptor) }
        // It is not the old one's any more.
        old.remove()
        #expect(try self.names() == ["socket"])
    }

    @Test func `do not replace one that is in use, nor another file`() throws {
        let first = try UnixListeningSocket(self.path)
        defer { close(first.descriptor) }
        let inUse = #expect(throws: ProgramError.self) { try UnixListeningSocket(self.path) }
        #expect(inUse?.message == "cannot listen on \(self.path): another program listens there")
        first.remove()
        try self.folder.write("socket", "precious")
        let file = #expect(throws: ProgramError.self) { try UnixListeningSocket(self.path) }
        #expect(file?.message.contains("no socket") == true)
        #expect(try self.names() == ["socket"])
    }

    @Test func `need a folder`() throws {
        let path = try UnixSocketPath(parsing: "unix:" + self.folder.file("none/socket"))
        let error = #expect(throws: ProgramError.self) { try UnixListeningSocket(path) }
        #expect(error?.message.contains("no such file or directory; its folder has to be there") == true)
    }

    @Test(arguments: ["unix:", "unix:@abstract", "unix:/run/", "unix:/" + String(repeating: "x", count: 108)])
    func `have a path`(text: String) {
        #expect(throws: ListenPlaceError.self) { try ListenPlace(parsing: text, defaultHost: "127.0.0.1") }
    }

    @Test func `stand beside addresses`() throws {
        #expect(
            try ListenPlace(parsing: "2080", defaultHost: "127.0.0.1").description == "127.0.0.1:2080")
        #expect(
            try ListenPlace(parsing: "unix:a/b", defaultHost: "127.0.0.1").description == "unix:a/b")
    }
}
