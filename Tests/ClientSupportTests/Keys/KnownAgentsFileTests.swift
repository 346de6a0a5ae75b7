import Basics
import Foundation
import TestSupport
import Testing

@testable import ClientSupport

@Suite(.timeLimit(.minutes(1))) struct `the file of known agents on the disk` {
    private func file(_ folder: TestFolder, _ name: String = "known", mayBeMissing: Bool = true) -> KnownAgentsFile {
        KnownAgentsFile(path: folder.file(name), mayBeMissing: mayBeMissing)
    }

    private func mode(of path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test func `is made for the first key, for its owner alone`() throws {
        let folder = try TestFolder()
        let file = self.file(folder)
        #expect(try file.load() == KnownAgents())
        try file.checkIsWritable()
        #expect(!FileManager.default.fileExists(atPath: file.path))
        let (known, isNew) = try file.add("office", testFingerprint(1), comment: "c")
        #expect(isNew)
        #expect(known.standing(of: "office", showing: testFingerprint(1)) == .known)
        #expect(try file.load() == known)
        #expect(try self.mode(of: file.path) == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("")).count == 1)
    }

    @Test func `another key of a name that is known by now is not added`() throws {
        let folder = try TestFolder()
        let file = self.file(folder)
        _ = try file.add("office", testFingerprint(1), comment: "c")
        let (known, isNew) = try file.add("office", testFingerprint(2), comment: "c")
        #expect(!isNew)
        #expect(known.standing(of: "office", showing: testFingerprint(2)) != .known)
    }

    @Test func `keeps its mode, and the link that leads to it`() throws {
        let folder = try TestFolder()
        let target = folder.file("target")
        try Data("# here\n".utf8).write(to: URL(fileURLWithPath: target))
        #expect(chmod(target, 0o640) == 0)
        let file = self.file(folder)
        try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: target)
        _ = try file.add("office", testFingerprint(1), comment: "c")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: file.path) == target)
        #expect(try self.mode(of: target) == 0o640)
        #expect(try String(contentsOfFile: target, encoding: .utf8) == "# here\noffice \(testFingerprint(1)) c\n")
    }

    @Test func `many that add at the same time lose nothing of each other`() async throws {
        let folder = try TestFolder()
        let file = self.file(folder)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<UInt8(24) {
                group.addTask {
                    try await onThread { _ = try file.add("agent-\(number)", testFingerprint(number), comment: "c") }
                }
            }
            try await group.waitForAll()
        }
        let known = try file.load()
        for number in 0..<UInt8(24) {
            #expect(known.standing(of: "agent-\(number)", showing: testFingerprint(number)) == .known)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("")).count == 1)
    }

    @Test func `what is wrong with it is said with its name`() throws {
        let folder = try TestFolder()
        let missing = self.file(folder, mayBeMissing: false)
        let absent = try #require(throws: KnownAgentsFile.FileError.self) { try missing.load() }
        #expect("\(absent)" == "cannot read the known agents in \(missing.path): no such file or directory")
        try Data("a\n\noffice nothing\n".utf8).write(to: URL(fileURLWithPath: missing.path))
        let wrong = try #require(throws: KnownAgentsFile.FileError.self) { try missing.load() }
        #expect("\(wrong)".hasPrefix("\(missing.path), line 1: a key is missing"))
        // It is not added to either.
        #expect(throws: KnownAgentsFile.FileError.self) { try missing.add("home", testFingerprint(1), comment: "c") }
        let nowhere = self.file(folder, "no/folder")
        #expect(throws: KnownAgentsFile.FileError.self) { try nowhere.checkIsWritable() }
        #expect(throws: KnownAgentsFile.FileError.self) { try nowhere.add("home", testFingerprint(1), comment: "c") }
    }
}
