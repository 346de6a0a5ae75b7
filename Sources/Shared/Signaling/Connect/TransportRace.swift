import NIOCore
import Synchronization

/// Opens control connections to a server that is reached over several transports: the one that worked last, and when that has
/// failed, or not answered for a moment, the others beside it. The first link counts (as RFC 8305 §5 does with addresses). When
/// it turns out to carry nothing, as where a firewall forgets UDP, the next transport begins the next time.
final class TransportRace: SignalConnector, Sendable {
    /// How long a transport is alone with the network. A handshake over a slow path takes less.
    static let headStart = TimeAmount.seconds(2)

    /// One way to the server.
    struct Runner: Sendable {
        let scheme: ServerURL.Scheme
        let connector: any SignalConnector & Sendable
    }

    private struct Favourite {
        /// The one that begins: at first the one that is wanted most, then the one that worked last.
        var runner = 0
        /// The last link that it has won with.
        var link: ObjectIdentifier?
    }

    private let runners: [Runner]
    private let favourite = Mutex(Favourite())

    /// - Parameter runners: most wanted first; at least one.
    init(_ runners: [Runner]) {
        precondition(!runners.isEmpty, "a server is reached over one transport at least")
        self.runners = runners
    }

    func connect(
        on eventLoop: any EventLoop, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void
    ) {
        let first = self.favourite.withLock { $0.runner }
        let order = [first] + self.runners.indices.filter { $0 != first }
        let heat = Heat(order: order, runners: self.runners, eventLoop: eventLoop) { result in
            if case .success((let link, let winner)) = result {
                self.favourite.withLock { $0 = Favourite(runner: winner, link: ObjectIdentifier(link)) }
            }
            completion(result.map { $0.link })
        }
        heat.startNext()
    }

    func linkFailed(_ link: any SignalLink) {
        self.favourite.withLock { favourite in
            guard favourite.link == ObjectIdentifier(link) else { return }
            favourite = Favourite(runner: (favourite.runner + 1) % self.runners.count)
        }
    }
}

/// One call of `connect`.
private final class Heat {
    typealias Outcome = Result<(link: any SignalLink, winner: Int), SignalConnectError>

    private let runners: [TransportRace.Runner]
    private let eventLoop: any EventLoop
    private var waiting: ArraySlice<Int>
    private var running = 0
    private var failures: [(runner: Int, error: SignalConnectError)] = []
    private var next: Scheduled<Void>?
    private var completion: ((Outcome) -> Void)?

    init(
        order: [Int], runners: [TransportRace.Runner], eventLoop: any EventLoop,
        completion: @escaping (Outcome) -> Void
    ) {
        self.runners = runners
        self.eventLoop = eventLoop
        self.waiting = order[...]
        self.completion = completion
    }

    func startNext() {
        self.next?.cancel()
        self.next = nil
        guard self.completion != nil, let runner = self.waiting.popFirst() else { return }
        self.running += 1
        self.runners[runner].connector.connect(on: self.eventLoop) { self.ended(runner, $0) }
        guard !self.waiting.isEmpty else { return }
        self.next = self.eventLoop.assumeIsolated().scheduleTask(in: TransportRace.headStart) { self.startNext() }
    }

    private func ended(_ runner: Int, _ result: Result<any SignalLink, SignalConnectError>) {
        self.running -= 1
        switch result {
        case .success(let link):
            guard self.completion != nil else { return link.close() }
            self.complete(.success((link, runner)))
        case .failure(let error):
            self.failures.append((runner, error))
            if !self.waiting.isEmpty {
                self.startNext()
            } else if self.running == 0 {
                self.complete(.failure(self.verdict))
            }
        }
    }

    private func complete(_ outcome: Outcome) {
        self.next?.cancel()
        self.next = nil
        let completion = self.completion
        self.completion = nil
        completion?(outcome)
    }

    /// The most telling failure, that of the transport that is wanted most among equals; of addresses that do not answer all.
    private var verdict: SignalConnectError {
        let failures = self.failures.sorted { $0.runner < $1.runner }
        let attempts = failures.map { runner, error in
            error.attempts?.map { $0.over(self.runners[runner].scheme) }
        }
        guard attempts.contains(where: { $0 == nil }) else {
            return .unreachable(attempts.compactMap(\.self).flatMap(\.self))
        }
        let best = failures.map(\.error.weight).max() ?? 0
        return failures.first { $0.error.weight == best }?.error ?? .unreachable([])
    }
}

extension SignalConnectError {
    /// How much a person learns from it: what the server is not trusted for most, that it does not answer least.
    fileprivate var weight: Int {
        switch self {
        case .unreachable, .timedOut(.connection): 0
        case .timedOut, .disconnected, .turnedAway: 1
        case .unresolved, .secureChannel, .wrongScheme, .upgradeRefused, .notAServer: 2
        case .untrusted: 3
        }
    }

    /// The addresses, when none of them answered.
    fileprivate var attempts: [Attempt]? {
        if case .unreachable(let attempts) = self { attempts } else { nil }
    }
}

extension SignalConnectError.Attempt {
    fileprivate func over(_ scheme: ServerURL.Scheme) -> Self {
        Self(address: "\(self.address) (\(scheme == .quic ? "UDP" : "TCP"))", reason: self.reason)
    }
}
