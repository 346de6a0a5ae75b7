import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Signaling

/// Which transport is tried when, in virtual time.
@Suite struct TransportRaceTests {
    /// Answers when it is told to. Used on one event loop.
    private final class Connector: SignalConnector, @unchecked Sendable {
        private(set) var attempts = 0
        private var completion: ((Result<any SignalLink, SignalConnectError>) -> Void)?

        func connect(
            on eventLoop: any EventLoop, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void
        ) {
            self.attempts += 1
            self.completion = completion
        }

        func answer(_ result: Result<any SignalLink, SignalConnectError>) {
            let completion = self.completion
            self.completion = nil
            completion?(result)
        }
    }

    private let loop = EmbeddedEventLoop()
    private let quic = Connector()
    private let https = Connector()
    private let race: TransportRace

    init() {
        self.race = TransportRace([
            .init(scheme: .quic, connector: self.quic), .init(scheme: .https, connector: self.https),
        ])
    }

    private final class Outcome {
        var result: Result<any SignalLink, SignalConnectError>?
        var count = 0
    }

    private func connect() -> Outcome {
        let outcome = Outcome()
        self.race.connect(on: self.loop) {
            outcome.result = $0
            outcome.count += 1
        }
        return outcome
    }

    private func link() -> MemoryLink { MemoryLink.pair(on: self.loop, binding: nil).0 }

    @Test func `the one that is wanted most is alone for two seconds`() throws {
        let outcome = self.connect()
        #expect(self.quic.attempts == 1 && self.https.attempts == 0)
        self.loop.advanceTime(by: .milliseconds(1999))
        #expect(self.https.attempts == 0)
        self.loop.advanceTime(by: .milliseconds(1))
        #expect(self.https.attempts == 1)
        let link = self.link()
        self.https.answer(.success(link))
        #expect(try outcome.result?.get() === link)
        // What comes after all is closed, and nobody hears of it.
        self.quic.answer(.success(self.link()))
        #expect(outcome.count == 1)
    }

    @Test func `when it fails the next one begins at once`() throws {
        let outcome = self.connect()
        self.quic.answer(.failure(.timedOut(.connection)))
        #expect(self.https.attempts == 1 && outcome.result == nil)
        self.https.answer(.success(self.link()))
        #expect(outcome.count == 1)
    }

    @Test func `the one that worked begins the next time`() {
        _ = self.connect()
        self.quic.answer(.failure(.timedOut(.connection)))
        self.https.answer(.success(self.link()))
        let second = self.connect()
        #expect(self.https.attempts == 2 && self.quic.attempts == 1)
        // And when TCP is shut in the meantime, UDP has its turn.
        self.loop.advanceTime(by: TransportRace.headStart)
        #expect(self.quic.attempts == 2)
        self.quic.answer(.success(self.link()))
        #expect(second.count == 1)
        _ = self.connect()
        #expect(self.quic.attempts == 3 && self.https.attempts == 2)
    }

    @Test func `one whose link carries nothing leaves the beginning to the next one`() {
        let links = (0..<3).map { _ in self.link() }
        _ = self.connect()
        self.quic.answer(.success(links[0]))
        self.race.linkFailed(links[0])
        _ = self.connect()
        #expect(self.quic.attempts == 1 && self.https.attempts == 1)
        self.https.answer(.success(links[1]))
        // One that was over before says nothing of those behind it.
        self.race.linkFailed(links[0])
        _ = self.connect()
        #expect(self.quic.attempts == 1 && self.https.attempts == 2)
        self.https.answer(.success(links[2]))
        self.race.linkFailed(links[2])
        _ = self.connect()
        #expect(self.quic.attempts == 2 && self.https.attempts == 2)
    }

    @Test func `of two failures the more telling one is told, and of silence both`() {
        let first = self.connect()
        self.quic.answer(.failure(.unreachable([.init(address: "192.0.2.1:1", reason: "no answer")])))
        self.https.answer(.failure(.unreachable([.init(address: "192.0.2.1:1", reason: "connection refused")])))
        guard case .failure(let both) = first.result else { return }
        #expect(
            "\(both)"
                == "cannot connect to 192.0.2.1:1 (UDP): no answer; cannot connect to 192.0.2.1:1 (TCP): connection refused"
        )
        let second = self.connect()
        self.quic.answer(.failure(.unreachable([])))
        self.https.answer(.failure(.notAServer("a printer")))
        guard case .failure(.notAServer) = second.result else {
            Issue.record("\(String(describing: second.result))")
            return
        }
        #expect(second.count == 1)
    }
}
