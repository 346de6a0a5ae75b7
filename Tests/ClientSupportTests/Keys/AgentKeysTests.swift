import AppProto
import Basics
import CommandSupport
import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import ClientSupport

@Suite(.timeLimit(.minutes(1))) struct `the keys that a client knows agents by` {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    private func keys(
        _ text: String?, in folder: TestFolder, trustsFirstUse: Bool = false, logger: Logger = Logger(label: "test")
    ) throws -> AgentKeys {
        let path = folder.file("known")
        if let text { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }
        return try AgentKeys(path: path, trustsFirstUse: trustsFirstUse, eventLoop: self.eventLoop, logger: logger)
    }

    private final class Counter: Sendable {
        let count = Mutex(0)
    }

    private func agent(_ name: String, _ key: UInt8?) -> AgentInfo {
        AgentInfo(
            name: name, instanceID: .random(), address: "", software: "",
            key: key.map { ProvedKey(fingerprint: testFingerprint($0), isKept: true) })
    }

    @Test func `say who may be used`() throws {
        let folder = try TestFolder()
        let keys = try self.keys("office \(testFingerprint(1))\n", in: folder)
        #expect(keys.verdict(on: "office", showing: testFingerprint(1)) == .known)
        #expect(keys.verdict(on: "office", showing: testFingerprint(2)).isRefused)
        #expect(keys.verdict(on: "home", showing: testFingerprint(1)).isRefused)
        let trusting = try self.keys(nil, in: folder, trustsFirstUse: true)
        #expect(trusting.verdict(on: "office", showing: testFingerprint(2)).isRefused)
        #expect(trusting.verdict(on: "home", showing: testFingerprint(1)) == .first)
    }

    @Test(
        arguments: [
            ("office", 1, .known, true), ("office", 2, .changed, false), ("home", 1, .unknown, false),
            // Whatever an older server does not say, the agent's answer does.
            ("office", nil, .unknown, true), ("home", nil, .unknown, false),
        ] as [(String, UInt8?, AgentKeys.ListedStanding, Bool)])
    func `say of the server's list what is known, and who need not be asked`(
        name: String, key: UInt8?, standing: AgentKeys.ListedStanding, isUsable: Bool
    ) throws {
        let keys = try self.keys("office \(testFingerprint(1))\n", in: try TestFolder())
        let agent = self.agent(name, key)
        #expect(keys.standing(of: agent) == standing)
        #expect((keys.refusal(of: agent) == nil) == isUsable)
    }

    @Test func `grow by what was proved, which is in the file then`() async throws {
        let folder = try TestFolder()
        let record = LogRecord()
        let keys = try self.keys(nil, in: folder, trustsFirstUse: true, logger: record.logger)
        try await keys.record("office", testFingerprint(1), isKept: false, on: self.eventLoop).get()
        #expect(keys.verdict(on: "office", showing: testFingerprint(1)) == .known)
        #expect(keys.verdict(on: "office", showing: testFingerprint(2)).isRefused)
        // Another process was faster.
        await #expect(throws: AgentKeyRefusal.self) {
            try await keys.record("office", testFingerprint(2), isKept: nil, on: self.eventLoop).get()
        }
        let text = try String(contentsOfFile: keys.path, encoding: .utf8)
        #expect(text.hasPrefix("office \(testFingerprint(1)) first used 20"))
        #expect(text.split(separator: "\n").count == 1)
        let lines = record.lines.filter { $0.event == "agent.key_recorded" }
        #expect(lines.count == 1)
        #expect(lines.first?.message.contains("--identity") == true)
    }

    @Test(
        arguments: [
            // What somebody else has made of the file meanwhile, and whether more has changed than what was proved.
            (["office", "home"], false), (["office"], true), (["office", "home", "new"], true),
            (["office", "a", "home"], true),
        ] as [([String], Bool)])
    func `tell of what else has changed in the file when a first use is added`(
        names: [String], isTold: Bool
    ) async throws {
        let lines = { (names: [String]) in names.map { "\($0) \(testFingerprint(1))\n" }.joined() }
        let record = LogRecord()
        let folder = try TestFolder()
        let keys = try self.keys(
            lines(["office", "home"]), in: folder, trustsFirstUse: true, logger: record.logger)
        let told = Counter()
        try await self.eventLoop.submit {
            keys.subscribe(on: self.eventLoop) { told.count.withLock { $0 += 1 } }
        }.get()
        try Data(lines(names).utf8).write(to: URL(fileURLWithPath: keys.path))
        try await keys.record("new", testFingerprint(1), isKept: true, on: self.eventLoop).get()
        try await self.eventLoop.submit {}.get()
        #expect((told.count.withLock { $0 } == 1) == isTold)
        #expect(record.lines.contains { $0.event == "known_agents.reloaded" } == isTold)
        #expect((keys.verdict(on: "home", showing: testFingerprint(1)) == .known) == names.contains("home"))
        #expect(keys.verdict(on: "new", showing: testFingerprint(1)) == .known)
        // The next one finds nothing but its own.
        try await keys.record("other", testFingerprint(1), isKept: true, on: self.eventLoop).get()
        try await self.eventLoop.submit {}.get()
        #expect(told.count.withLock { $0 } == (isTold ? 1 : 0))
        withExtendedLifetime(folder) {}
    }

    @Test func `are all there when many are added at the same time`() async throws {
        let folder = try TestFolder()
        let keys = try self.keys(nil, in: folder, trustsFirstUse: true)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<UInt8(24) {
                group.addTask {
                    try await keys.record("a\(number)", testFingerprint(number), isKept: true, on: self.eventLoop).get()
                }
            }
            try await group.waitForAll()
        }
        #expect((0..<UInt8(24)).allSatisfy { keys.verdict(on: "a\($0)", showing: testFingerprint($0)) == .known })
        withExtendedLifetime(folder) {}
    }

    @Test func `follow the file, and stay as they are while it is wrong or gone`() async throws {
        let folder = try TestFolder()
        let keys = try self.keys("office \(testFingerprint(1))\n", in: folder)
        let changes = self.eventLoop.makePromise(of: Void.self)
        try await self.eventLoop.submit {
            keys.subscribe(on: self.eventLoop) { changes.succeed() }
            keys.watch()
        }.get()
        for broken in ["office nothing\n", nil] {
            if let broken {
                try Data(broken.utf8).write(to: URL(fileURLWithPath: keys.path))
            } else {
                try FileManager.default.removeItem(atPath: keys.path)
            }
            try await keys.reload().get()
            #expect(keys.verdict(on: "office", showing: testFingerprint(1)) == .known)
        }
        try Data("office \(testFingerprint(2))\n".utf8).write(to: URL(fileURLWithPath: keys.path))
        try await keys.reload().get()
        try await changes.futureResult.get()
        #expect(keys.verdict(on: "office", showing: testFingerprint(1)).isRefused)
        #expect(keys.verdict(on: "office", showing: testFingerprint(2)) == .known)
    }

    @Test(arguments: [(0o600, false), (0o644, false), (0o664, true), (0o606, true)] as [(mode_t, Bool)])
    func `a file that others can change is told of`(mode: mode_t, isTold: Bool) throws {
        let folder = try TestFolder()
        let path = try folder.write("known", "")
        #expect(chmod(path, mode) == 0)
        let record = LogRecord()
        _ = try AgentKeys(path: path, trustsFirstUse: false, eventLoop: self.eventLoop, logger: record.logger)
        #expect(record.lines.contains { $0.event == "known_agents.open" && $0.level == .warning } == isTold)
    }

    @Test(
        arguments: [
            (nil, false, .unavailable), ("office", false, .configuration), ("office x\n", true, .configuration),
        ] as [(String?, Bool, CommandSupport.ExitStatus)])
    func `a file that cannot be used ends the start`(text: String?, trusts: Bool, status: CommandSupport.ExitStatus)
        throws
    {
        let folder = try TestFolder()
        let error = try #require(throws: ProgramError.self) { try self.keys(text, in: folder, trustsFirstUse: trusts) }
        #expect(error.status == status)
        #expect(error.message.hasPrefix("--known-agents: "))
    }
}
