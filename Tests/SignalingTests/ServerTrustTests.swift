import AppProto
import NIOCore
import TLS
import Testing

@testable import Signaling

/// What becomes of a no.
@Suite struct ServerTrustTests {
    /// How sure the client can be of who speaks, before the proof.
    enum Knowledge: CaseIterable {
        case certificate, uncheckedCertificate, nothing
    }

    private static func trust(_ knowledge: Knowledge, hasConnected: Bool) throws -> ServerTrust {
        let url = knowledge == .nothing ? "http://server.example" : "https://server.example"
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: url), role: .agent(name: "egress", expireIn: nil, labels: [:]), key: testKey,
            software: "rtun-agent/1")
        configuration.httpsInsecure = knowledge == .uncheckedCertificate
        var trust = ServerTrust(configuration: configuration)
        trust.hasConnected = hasConnected
        return trust
    }

    private static func isEnd(_ verdict: ServerTrust.Verdict) -> Bool {
        if case .end = verdict { true } else { false }
    }

    @Test(arguments: Knowledge.allCases, [false, true])
    func `a refusal ends a program whose server is known, else only the first attempt`(
        knowledge: Knowledge, hasConnected: Bool
    ) throws {
        let trust = try Self.trust(knowledge, hasConnected: hasConnected)
        let isFinal = knowledge == .certificate || !hasConnected
        for error in [
            HandshakeError.proofFailed, .bindingUnavailable("no exporter"),
            .refused(Goodbye(code: .auth, reason: "")), .refused(Goodbye(code: .binding, reason: "")),
            .refused(Goodbye(code: .nameHeld, reason: "")), .refused(Goodbye(code: .replaced, reason: "")),
            .refused(Goodbye(code: .keyUnknown, reason: "")),
        ] {
            #expect(Self.isEnd(trust.verdict(on: error)) == isFinal, "\(error)")
        }
        let expired = trust.verdict(on: .refused(Goodbye(code: .expired, reason: "")))
        #expect(Self.isEnd(expired) == (knowledge == .certificate))
        for error in [
            HandshakeError.timedOut, .protocolViolation("nonsense"),
            .refused(Goodbye(code: .limit, reason: "")), .refused(Goodbye(code: .shutdown, reason: "")),
        ] {
            #expect(!Self.isEnd(trust.verdict(on: error)), "\(error)")
        }
    }

    @Test func `behind the proof every goodbye counts`() throws {
        let trust = try Self.trust(.uncheckedCertificate, hasConnected: true)
        #expect(trust.terminal(for: Goodbye(code: .replaced, reason: "")) == .replaced(name: "egress"))
        #expect(trust.terminal(for: Goodbye(code: .expired, reason: "")) == .expired(name: "egress"))
        #expect(trust.terminal(for: Goodbye(code: .shutdown, reason: "")) == nil)
    }

    @Test(
        arguments: [
            (.agent(name: "my box", expireIn: nil, labels: [:]), nil, "agent my box "), (.client, nil, "client "),
            (.client, "office", "agent office "),
        ] as [(SignalClientConfiguration.Role, String?, String)])
    func `who is not listed is told the line that is missing`(
        role: SignalClientConfiguration.Role, checkedAgent: String?, line: String
    ) throws {
        let identity = try ProcessIdentity(commonName: "test")
        var configuration = SignalClientConfiguration(
            url: try ServerURL(parsing: "https://server.example"), role: role, key: testKey, identity: identity,
            software: "test/1")
        configuration.checkedAgent = checkedAgent
        let terminal = ServerTrust(configuration: configuration).terminal(
            for: Goodbye(code: .keyUnknown, reason: "the key is not in the server's --authorized-keys"))
        guard case .keyUnknown(let detail) = terminal else {
            Issue.record("\(String(describing: terminal))")
            return
        }
        #expect(detail.contains("\"\(line)\(identity.fingerprint)\""))
        #expect(detail.contains("(the key is not in the server's --authorized-keys)"))
        // It would not be the same one the next time.
        #expect(detail.contains("--identity"))
    }
}
