import AppProto
import Logging
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Signaling
@testable import rtun_server

/// Who is let in, in virtual time over links in memory.
@Suite struct AdmissionTests {
    private static let key = SharedKey(derived: [UInt8](repeating: 1, count: 32))
    private static let wrongKey = SharedKey(derived: [UInt8](repeating: 2, count: 32))
    private static let binding = [UInt8](repeating: 3, count: 32)

    private let loop = EmbeddedEventLoop()
    private let log = LogRecord()
    private let admission: Admission

    init() {
        self.admission = Admission(
            eventLoop: self.loop, secrets: AcceptedSecrets(Self.key), software: "s", logger: self.log.logger)
    }

    private final class Attempt {
        var isAdmitted = false
        var error: HandshakeError?
        var initiator: SignalInitiator?

        /// How it was sent away.
        var goodbye: GoodbyeCode? {
            if case .refused(let goodbye) = self.error { goodbye.code } else { nil }
        }
    }

    /// Begins an attempt; what comes of it shows when the loop runs.
    private func begin(
        _ key: SharedKey, from address: String = "192.0.2.1", binding: [UInt8]? = Self.binding,
        isEncrypted: Bool = true, isForwarded: Bool = false
    ) throws -> Attempt {
        let (near, far) = MemoryLink.pair(on: self.loop, binding: binding)
        far.remoteAddress = try SocketAddress(ipAddress: address, port: 1)
        let attempt = Attempt()
        let handshake = ClientHandshake(
            key: key, transport: binding.map { .verifiedTLS(exporter: $0) } ?? .plain, agent: nil,
            identity: nil, software: "c")
        let initiator = SignalInitiator(link: near, handshake: { handshake }, timing: SignalConnection.Timing()) {
            if case .failure(.handshake(let error)) = $0 { attempt.error = error }
        }
        attempt.initiator = initiator
        initiator.start()
        self.admission.meet(far, isEncrypted: isEncrypted, isForwarded: isForwarded) { acceptor, _ in
            attempt.isAdmitted = true
            _ = acceptor.welcome(Welcome(observedAddress: "", software: "s"))
        }
        return attempt
    }

    private func attempt(_ key: SharedKey, from address: String = "192.0.2.1") throws -> Attempt {
        let attempt = try self.begin(key, from: address)
        self.loop.run()
        return attempt
    }

    @Test func `who proves the secret is let in`() throws {
        let attempt = try self.attempt(Self.key)
        #expect(attempt.isAdmitted && attempt.error == nil)
        #expect(self.log.lines.isEmpty)
    }

    @Test func `after ten wrong guesses an address waits, and no other`() throws {
        for _ in 0...10 {
            #expect(try self.attempt(Self.wrongKey).goodbye == .auth)
        }
        let late = try self.attempt(Self.key)
        #expect(!late.isAdmitted && late.error == nil)
        #expect(try self.attempt(Self.key, from: "192.0.2.2").isAdmitted)
        self.loop.advanceTime(by: .seconds(2))
        #expect(late.isAdmitted)
    }

    @Test func `guesses on connections that were opened before are not looked at`() throws {
        let attempts = try (0..<14).map { _ in try self.begin(Self.wrongKey) }
        let right = try self.begin(Self.key)
        self.loop.run()
        #expect(attempts.map(\.goodbye) == Array(repeating: .auth, count: 11) + Array(repeating: .limit, count: 3))
        #expect(right.goodbye == .limit && !right.isAdmitted)
    }

    @Test func `an address that fails on and on is turned away at once`() throws {
        for _ in 0..<3 {
            let attempts = try (0..<11).map { _ in try self.begin(Self.wrongKey) }
            self.loop.run()
            #expect(attempts.allSatisfy { $0.error != nil })
            self.loop.advanceTime(by: .seconds(2))
        }
        let attempts = try (0..<20).map { _ in try self.begin(Self.wrongKey) }
        self.loop.advanceTime(by: .seconds(4))
        #expect(attempts.contains { $0.goodbye == .limit })
    }

    @Test(arguments: [false, true])
    func `behind a proxy peers share an address unless it tells theirs`(isForwarded: Bool) throws {
        for _ in 0..<50 {
            _ = try self.begin(Self.wrongKey, binding: nil, isEncrypted: false, isForwarded: isForwarded)
            self.loop.run()
        }
        let attempt = try self.begin(Self.key, binding: nil, isEncrypted: false, isForwarded: isForwarded)
        self.loop.run()
        #expect(attempt.isAdmitted == !isForwarded)
    }

    @Test func `TLS without an exporter is refused`() throws {
        let attempt = try self.begin(Self.key, binding: nil)
        self.loop.run()
        #expect(attempt.goodbye == .binding && !attempt.isAdmitted)
    }

    @Test func `failures are told once a second, with their number`() throws {
        for _ in 0..<5 { _ = try self.attempt(Self.wrongKey) }
        self.loop.advanceTime(by: .seconds(1))
        _ = try self.attempt(Self.wrongKey)
        let warnings = self.log.lines.filter { $0.event == "auth.failed" }
        #expect(warnings.map { $0.metadata["count"].map { "\($0)" } } == ["1", "5"])
        #expect(warnings.allSatisfy { $0.metadata["remote"] == "192.0.2.1:1" && $0.level == .warning })
    }
}
