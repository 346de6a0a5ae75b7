import AppProto
import CommandSupport
import NIOCore
import Signaling

/// A control connection in the role of a client, opened once for a check: nobody's registration is touched.
struct CheckConnection: Sendable {
    /// What came of the first attempt.
    enum Outcome: Sendable {
        /// `clockDifference`: the server's clock less ours; nil when the server does not tell its time.
        case connected(SignalSession, after: TimeAmount, clockDifference: TimeAmount?)
        case refused(String)
        /// For the key, which is not listed there.
        case keyUnknown(String)
        /// `verdict`: what that means, in a few words.
        case failed(String, advice: String?, verdict: String)
    }

    let client: SignalClient

    /// Connects, and waits for the outcome for at most `limit`. Returns in any case.
    func open(within limit: TimeAmount) async -> Outcome {
        let eventLoop = self.client.eventLoop
        let promise = eventLoop.makePromise(of: Outcome.self)
        let timeout = eventLoop.scheduleTask(in: limit) {
            promise.succeed(
                .failed(
                    "the server does not answer within \(limit.nanoseconds / 1_000_000_000) s",
                    advice: "check the address and port, and firewalls on the way",
                    verdict: "the server cannot be reached"))
        }
        defer { timeout.cancel() }
        do {
            try await eventLoop.submit {
                self.client.setDelegate(Watcher(client: self.client, promise: promise, start: eventLoop.now))
            }.get()
            Task {
                // Only the first completion counts.
                switch await self.client.run() {
                case .refused(let detail): promise.succeed(.refused(detail))
                case .keyUnknown(let detail): promise.succeed(.keyUnknown(detail))
                case let terminal: promise.succeed(.failed("\(terminal)", advice: nil, verdict: "\(terminal)"))
                }
            }
            return try await promise.futureResult.get()
        } catch {
            return .failed("\(error)", advice: nil, verdict: "\(error)")
        }
    }

    /// The registered agents, those that clients prefer first; nil when the server does not tell within `limit`.
    func agents(within limit: TimeAmount) async -> [AgentInfo]? {
        try? await self.client.agents(timeout: limit).get()
    }

    /// Says goodbye.
    func close() async {
        await self.client.stopAndWait()
    }

    /// Hears of the first attempt.
    private final class Watcher: SignalClientDelegate {
        /// A round trip on a connection that stands.
        private static let questionTime = TimeAmount.seconds(2)

        private let client: SignalClient
        private let promise: EventLoopPromise<Outcome>
        private let start: NIODeadline

        init(client: SignalClient, promise: EventLoopPromise<Outcome>, start: NIODeadline) {
            self.client = client
            self.promise = promise
            self.start = start
        }

        func signalConnected(_ session: SignalSession) {
            let outcome = Outcome.connected(
                session, after: NIODeadline.now() - self.start,
                clockDifference: Self.difference(session.welcome.timeMilliseconds, UnixTime.milliseconds))
            // A server that sends this program away for its key says so right behind its proof: to whatever it is asked then
            // there is no answer.
            let promise = self.promise
            self.client.request(.listAgents(ListAgents(limit: 1)), timeout: Self.questionTime).whenComplete { answer in
                switch answer {
                case .failure(SignalError.connectionLost), .failure(SignalError.notConnected): break
                case .success, .failure: promise.succeed(outcome)
                }
            }
        }

        /// Whatever a server says: a difference of more than a century is told as one.
        private static func difference(_ theirs: UInt64, _ ours: UInt64) -> TimeAmount? {
            guard theirs != 0 else { return nil }
            let (larger, smaller) = (max(theirs, ours), min(theirs, ours))
            let distance = Int64(min(larger - smaller, 100 * 365 * 86_400_000))
            return .milliseconds(theirs > ours ? distance : -distance)
        }

        func signalAttemptFailed(_ error: SignalConnectError) {
            self.promise.succeed(.failed("\(error)", advice: error.advice, verdict: error.verdict))
        }

        func signalLost() {}

        func signalReceived(_ request: SignalRequest) {
            request.failUnsupported()
        }

        func signalReceived(event: Envelope.Body) {}
    }
}
