import Basics
import DequeModule
import NIOCore
import NIOPosix
import NameResolution
import OperatingSystem
import QUIC
import TLS

/// Opens control connections over QUIC: resolves the host, and tries its addresses, the next one when one has failed or has
/// not answered for a moment (RFC 8305 §5).
struct QUICConnector: SignalConnector {
    let url: ServerURL
    let configuration: QUICConfiguration

    init(url: ServerURL, verification: PeerVerification, congestionControl: CongestionControl) {
        self.url = url
        var configuration = QUICConfiguration(
            applicationProtocol: SignalLinkLimits.quicApplicationProtocol, identity: nil, verification: verification)
        configuration.keepAliveInterval = .seconds(2)
        configuration.handshakeTimeout = SignalConnectError.stepTimeout
        configuration.maxConcurrentStreams = 0
        configuration.congestionControl = congestionControl
        // For what goes through the server between peers.
        configuration.datagrams = true
        self.configuration = configuration
    }

    func connect(
        on eventLoop: any EventLoop, completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void
    ) {
        let configuration = self.configuration
        let url = self.url
        let lookup = NameResolver.shared.lookUp(url.host, port: url.port, on: eventLoop)
        lookup.addresses.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let addresses):
                let race = QUICRace(
                    addresses: addresses, configuration: configuration, url: url, eventLoop: eventLoop,
                    completion: completion)
                race.startNext()
                // Those of the other family may be late.
                lookup.allAddresses.assumeIsolated().whenComplete { result in
                    race.lastAddresses((try? result.get()) ?? [])
                }
            case .failure(let error):
                completion(.failure(.unresolved(host: url.host, reason: "\(error)")))
            }
        }
    }
}

/// Several attempts of which the first to succeed counts.
private final class QUICRace {
    /// RFC 8305 §5: Connection Attempt Delay.
    private static let delay = TimeAmount.milliseconds(250)

    private let configuration: QUICConfiguration
    private let url: ServerURL
    private let eventLoop: any EventLoop
    private var addresses: Deque<SocketAddress>
    /// Those that have been there so far.
    private var known: Set<SocketAddress>
    /// Whether there will be no further ones.
    private var isComplete = false
    private var running = 0
    private var failures: [(address: SocketAddress, error: any Error)] = []
    private var nextAttempt: Scheduled<Void>?
    private var completion: ((Result<any SignalLink, SignalConnectError>) -> Void)?

    init(
        addresses: [SocketAddress], configuration: QUICConfiguration, url: ServerURL, eventLoop: any EventLoop,
        completion: @escaping (Result<any SignalLink, SignalConnectError>) -> Void
    ) {
        self.addresses = Deque(addresses)
        self.known = Set(addresses)
        self.configuration = configuration
        self.url = url
        self.eventLoop = eventLoop
        self.completion = completion
    }

    /// All addresses that there are; those are tried, too, that were not known before.
    func lastAddresses(_ addresses: [SocketAddress]) {
        self.isComplete = true
        self.addresses += addresses.filter { self.known.insert($0).inserted }
        if self.running == 0 {
            self.addresses.isEmpty ? self.fail() : self.startNext()
        } else if self.nextAttempt == nil, !self.addresses.isEmpty {
            self.scheduleNext()
        }
    }

    func startNext() {
        self.nextAttempt?.cancel()
        self.nextAttempt = nil
        guard self.completion != nil, let address = self.addresses.popFirst() else { return }
        self.running += 1
        QUICClient.connect(to: address, configuration: self.configuration, eventLoop: self.eventLoop)
            .assumeIsolated().whenComplete { result in
                self.running -= 1
                switch result {
                case .success(let connection): self.succeeded(connection.value)
                case .failure(let error): self.failed(address, error)
                }
            }
        if !self.addresses.isEmpty { self.scheduleNext() }
    }

    private func scheduleNext() {
        self.nextAttempt = self.eventLoop.assumeIsolated().scheduleTask(in: Self.delay) { self.startNext() }
    }

    private func succeeded(_ connection: QUICClientConnection) {
        guard self.completion != nil else {
            return connection.session.close(code: 0, reason: "another address was faster")
        }
        do throws(QUICError) {
            let stream = try connection.session.openStream()
            let link = QUICLink(
                session: connection.session, stream: stream, localAddress: connection.localAddress,
                remoteAddress: connection.remoteAddress)
            stream.write(SignalRecordDecoder.emptyRecord)
            self.complete(.success(link))
        } catch {
            connection.session.close(code: 0, reason: "\(error)")
            self.failed(connection.remoteAddress, error)
        }
    }

    private func failed(_ address: SocketAddress, _ error: any Error) {
        self.failures.append((address, error))
        if !self.addresses.isEmpty {
            self.startNext()
        } else if self.running == 0, self.isComplete {
            self.fail()
        }
    }

    private func fail() {
        guard !self.failures.isEmpty else { return }
        self.complete(.failure(self.verdict))
    }

    private func complete(_ result: Result<any SignalLink, SignalConnectError>) {
        self.nextAttempt?.cancel()
        self.nextAttempt = nil
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }

    /// The most telling of the failures: a server that answered tells more than an address that did not.
    private var verdict: SignalConnectError {
        for failure in self.failures {
            switch failure.error {
            case QUICCloseReason.untrusted(let rejection):
                return .untrusted(rejection, scheme: self.url.scheme)
            case QUICCloseReason.peerAlert, QUICCloseReason.versionNegotiationFailed:
                return .notAServer("\(failure.error)")
            case QUICCloseReason.peer, QUICCloseReason.peerTransport, QUICCloseReason.handshakeFailed,
                QUICCloseReason.transport, is QUICError:
                return .secureChannel("the QUIC connection failed: \(failure.error)")
            default:
                break
            }
        }
        return .unreachable(
            self.failures.map { address, error in
                SignalConnectError.Attempt(address: address.authority, reason: Self.words(for: error))
            })
    }

    private static func words(for error: any Error) -> String {
        switch error {
        case QUICCloseReason.handshakeTimedOut, QUICCloseReason.idleTimedOut: "no answer"
        default: SystemError.text(of: error)
        }
    }
}
