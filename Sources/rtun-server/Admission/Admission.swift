import AppProto
import Basics
import CommandSupport
import Logging
import NIOCore
import Signaling

/// Lets in who proves the secret, and turns all others away: at once who has failed too often.
///
/// Belongs to the event loop of its links.
final class Admission {
    private let eventLoop: any EventLoop
    /// What peers have to know one of.
    var secrets: AcceptedSecrets
    private let software: String
    private let logger: Logger
    private var throttle = FailureThrottle()
    /// For links without TLS of their own: all peers behind a proxy come from its address.
    private var proxyThrottle = FailureThrottle(.proxy)
    /// By reason, so that the many of one hide none of another.
    private var refusalLogs: [String: LogRateLimiter] = [:]
    private(set) var counts = Counts()

    /// What has become of handshakes so far.
    struct Counts: Sendable {
        var proved: UInt64 = 0
        /// The proof of the secret was wrong.
        var refused: UInt64 = 0
        /// Turned away after too many wrong proofs.
        var throttled: UInt64 = 0
        /// Anything else went wrong.
        var failed: UInt64 = 0
    }

    private static let tooManyFailures = Goodbye(code: .limit, reason: "too many failed attempts from this address")

    /// - Parameter software: the server's name and version, which peers are told.
    init(eventLoop: any EventLoop, secrets: AcceptedSecrets, software: String, logger: Logger) {
        self.eventLoop = eventLoop
        self.secrets = secrets
        self.software = software
        self.logger = logger
    }

    /// Takes over a new link until its peer has proved the secret.
    ///
    /// - Parameters:
    ///   - isEncrypted: whether this process terminates TLS for it.
    ///   - isForwarded: whether a trusted proxy has told the peer's own address.
    ///   - admitted: called when the peer has proved the secret, with what it is to be welcomed or refused by.
    func meet(
        _ link: any SignalLink, isEncrypted: Bool, isForwarded: Bool,
        admitted: @escaping (SignalAcceptor, ProvedPeer) -> Void
    ) {
        guard !isEncrypted || link.channelBinding != nil else {
            // TLS 1.2 without the extended master secret (RFC 7627), which nothing should speak any more.
            return Self.turnAway(
                link, Goodbye(code: .binding, reason: "this TLS connection has no exporter to bind to"))
        }
        // All peers behind a proxy that is not trusted, and only those, come over plain HTTP from one address.
        let sharesAddress = link.channelBinding == nil && !isForwarded
        switch self.permission(for: link, sharesAddress) {
        case .now:
            self.authenticate(link, sharesAddress, admitted)
        case .after(let wait):
            self.eventLoop.assumeIsolated().scheduleTask(in: wait) {
                self.authenticate(link, sharesAddress, admitted)
            }
        case .refused:
            self.counts.throttled += 1
            Self.turnAway(link, Self.tooManyFailures)
        }
    }

    /// Closes a link, saying why.
    static func turnAway(_ link: any SignalLink, _ goodbye: Goodbye) {
        link.send(Envelope(.goodbye(goodbye)).encoded())
        link.close()
    }

    private func permission(for link: any SignalLink, _ sharesAddress: Bool) -> FailureThrottle.Admission {
        guard let address = link.remoteAddress else { return .now }
        return (sharesAddress ? self.proxyThrottle : self.throttle).admit(address, at: self.eventLoop.now)
    }

    private func authenticate(
        _ link: any SignalLink, _ sharesAddress: Bool, _ admitted: @escaping (SignalAcceptor, ProvedPeer) -> Void
    ) {
        let acceptor = SignalAcceptor(
            link: link, secrets: self.secrets, software: self.software,
            admit: {
                // Looked at again: an attacker may have opened many connections before the first guess failed.
                guard case .now = self.permission(for: link, sharesAddress) else { return Self.tooManyFailures }
                return nil
            },
            outcome: { acceptor, outcome in
                switch outcome {
                case .success(let peer):
                    self.counts.proved += 1
                    admitted(acceptor, peer)
                case .failure(let error): self.failed(link, error, sharesAddress)
                }
            })
        acceptor.start()
    }

    private func failed(_ link: any SignalLink, _ error: SignalAcceptError, _ sharesAddress: Bool) {
        let remote = link.remoteAddress
        let place: Logger.MetadataValue = "\(remote?.authority ?? "unknown")"
        guard let reason = error.refusedProof else {
            self.counts.failed += 1
            self.logger.debug(
                "handshake failed", metadata: ["event": "handshake.failed", "remote": place, "error": "\(error)"])
            return
        }
        self.counts.refused += 1
        let now = self.eventLoop.now
        // Who has a secret does not guess.
        if reason.isGuess {
            switch remote {
            case let remote? where sharesAddress: self.proxyThrottle.recordFailure(remote, at: now)
            case let remote?: self.throttle.recordFailure(remote, at: now)
            case nil: break
            }
        }
        guard
            let count = self.refusalLogs[reason.name, default: LogRateLimiter(interval: .seconds(1))].occurrences(
                at: now)
        else { return }
        self.logger.warning(
            "\(reason.words)",
            metadata: [
                "event": "auth.failed", "reason": "\(reason.name)", "remote": place,
                "count": .stringConvertible(count),
            ])
    }
}

extension SignalAcceptError {
    /// What somebody could not prove, for the log; nil when it is another failure.
    fileprivate var refusedProof: (name: String, words: String, isGuess: Bool)? {
        switch self {
        case .handshake(.proofFailed):
            ("secret", "a peer does not know the shared secret, or there is a man in the middle", true)
        case .handshake(.secretOfOtherRole):
            ("role", "a peer has a secret that is for the other role", false)
        case .handshake(.keyRefused(let detail)):
            ("key", "a peer that knows the secret cannot prove its key: \(detail)", true)
        case .handshake, .notAdmitted, .linkClosed:
            nil
        }
    }
}

@available(*, unavailable)
extension Admission: Sendable {}
