import AgentChoice
import AppProto
import Basics
import Foundation
import Logging
import NIOCore
import NIOPosix
import Signaling
import TestSupport
import Testing

@testable import ClientSupport

@Suite(.timeLimit(.minutes(1))) struct `a pool's guard against other keys` {
    /// What comes from the server, and from an agent that is asked.
    enum Event: Sendable {
        /// A list, with the number of each agent's key.
        case list([(name: String, key: UInt8)])
        /// Agent `office` answers with another key.
        case otherAnswer
    }

    @Test(
        arguments: [
            ([.list([("office", 2), ("home", 2)])], [], true),
            ([.list([("office", 2), ("home", 1)]), .list([("office", 2), ("home", 2)])], [], true),
            // The right key is there again.
            ([.list([("office", 2), ("home", 1)]), .list([("office", 1), ("home", 2)])], ["office"], false),
            // A server may list a name twice.
            ([.list([("office", 2), ("office", 1), ("home", 2)])], ["office"], false),
            ([.list([("office", 1), ("office", 2), ("home", 2)])], ["office"], false),
            // What the agent itself says counts until there is another list.
            ([.list([("office", 1), ("home", 2)]), .otherAnswer], ["office"], true),
            ([.list([("office", 1), ("home", 1)]), .otherAnswer], ["office", "home"], false),
            (
                [.list([("office", 1), ("home", 1)]), .otherAnswer, .list([("office", 1), ("home", 2)])], ["office"],
                false
            ),
        ] as [([Event], [String], Bool)])
    func `ends a program at its start only when no agent can be used`(
        events: [Event], expected: [String], isHopeless: Bool
    ) async throws {
        let folder = try TestFolder()
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let logger = LogRecord().logger
        let path = try folder.write("known", "office \(testFingerprint(1))\nhome \(testFingerprint(1))\n")
        let keys = try AgentKeys(path: path, trustsFirstUse: false, eventLoop: eventLoop, logger: logger)
        let signal = try SignalClient(
            configuration: SignalClientConfiguration(
                url: try ServerURL(parsing: "http://127.0.0.1:9"), role: .client,
                key: try SharedKey(secret: [UInt8](repeating: 1, count: 32)), software: "test/1"),
            eventLoop: eventLoop, logger: logger)
        async let terminal = signal.run()
        // It has begun then.
        try await eventLoop.scheduleTask(in: .milliseconds(20)) {}.futureResult.get()
        let (usable, obstacle) = try await eventLoop.submit {
            let keyGuard = AgentKeyGuard(
                keys, pattern: try AgentNamePattern("office|home"), signal: signal, eventLoop: eventLoop,
                logger: logger)
            var usable: [AgentInfo] = []
            for event in events {
                switch event {
                case .list(let agents): usable = keyGuard.usable(agents.map { Self.agent($0.name, $0.key) })
                case .otherAnswer: #expect(keyGuard.objection(to: testFingerprint(2), of: "office") != nil)
                }
            }
            return (usable.map(\.name), keyGuard.obstacle)
        }.get()
        signal.stop()
        #expect(usable == expected)
        #expect((obstacle != nil) == isHopeless)
        if case .refused = await terminal { #expect(isHopeless) } else { #expect(!isHopeless) }
    }

    private static func agent(_ name: String, _ key: UInt8) -> AgentInfo {
        AgentInfo(
            name: name, instanceID: .random(), address: "", software: "",
            key: ProvedKey(fingerprint: testFingerprint(key), isKept: true))
    }
}
