package import Basics
import ICE
import PeerPath
package import NIOCore
import NameResolution
import STUN
import UDP

/// Finds out how the NAT in front of this machine maps, and who can be reached by UDP at all, with sockets of its own and a
/// few STUN transactions. Belongs to its event loop.
package final class MappingProbe {
    /// Whom to ask, and from where.
    package struct Configuration: Sendable {
        package var servers: [PeerChannelConfiguration.STUNServerAddress]
        /// As in `PeerChannelConfiguration`.
        package var interfaces: [String]
        package var loopbackOnly: Bool

        /// What the channels of `configuration` ask, and from where.
        package init(_ configuration: PeerChannelConfiguration) {
            self.init(
                servers: configuration.stunServers, interfaces: configuration.interfaces,
                loopbackOnly: configuration.loopbackOnly)
        }

        package init(
            servers: [PeerChannelConfiguration.STUNServerAddress], interfaces: [String] = [], loopbackOnly: Bool
        ) {
            self.servers = servers
            self.interfaces = interfaces
            self.loopbackOnly = loopbackOnly
        }
    }

    /// What came of it.
    package struct Report: Sendable {
        /// One server, asked from one socket.
        package struct Answer: Hashable, Sendable {
            package enum Outcome: Hashable, Sendable {
                /// So the server sees us.
                case mapped(SocketAddress)
                case noAnswer
                /// This machine has no way to the server, or doesn't let the question out.
                case notSent
                /// The server's answer is an error or makes no sense; in words.
                case failed(String)
            }

            package var server: SocketAddress
            package var outcome: Outcome

            package init(server: SocketAddress, outcome: Outcome) {
                self.server = server
                self.outcome = outcome
            }
        }

        package var mapping: MappingBehavior
        /// In the order in which they came; those that never did last.
        package var answers: [Answer]
        /// Servers whose names could not be resolved.
        package var unresolved: [PeerChannelConfiguration.STUNServerAddress]
        /// The addresses of this machine that peers are told, port 0.
        package var localAddresses: [SocketAddress]

        package init(
            mapping: MappingBehavior, answers: [Answer] = [],
            unresolved: [PeerChannelConfiguration.STUNServerAddress] = [], localAddresses: [SocketAddress] = []
        ) {
            self.mapping = mapping
            self.answers = answers
            self.unresolved = unresolved
            self.localAddresses = localAddresses
        }
    }

    /// What the answers may take. Enough for three requests to each server (RFC 8489 §6.2.1: at 0, 0.5 and 1.5 s).
    private static let timeLimit = TimeAmount.seconds(3)
    /// What names may take to be resolved, before that.
    private static let lookupLimit = TimeAmount.seconds(2)

    private let eventLoop: any EventLoop
    private let sockets: [UDPSocket]
    private let promise: EventLoopPromise<MappingBehavior>
    private var gathering: STUNGathering
    private var timer: Scheduled<Void>?

    /// Asks. Takes 5 s at most, 3 s without names to resolve. May be called from anywhere.
    ///
    /// Fails with `PeerChannelError` when this machine has no usable address or no socket to offer. The future is the event
    /// loop's.
    package static func run(_ configuration: Configuration, eventLoop: any EventLoop) -> EventLoopFuture<Report> {
        eventLoop.flatSubmit { self.start(configuration, eventLoop: eventLoop) }
    }

    private static func start(_ configuration: Configuration, eventLoop: any EventLoop) -> EventLoopFuture<Report> {
        let opened = LocalSockets.open(
            interfaces: configuration.interfaces, loopbackOnly: configuration.loopbackOnly, options: .control,
            eventLoop: eventLoop)
        let lookups = configuration.servers.map { Self.resolve($0, on: eventLoop) }
        return opened.and(EventLoopFuture.whenAllSucceed(lookups, on: eventLoop)).flatMap { opened, lookups in
            let local = opened.value
            var report = Report(mapping: .unknown, localAddresses: local.addresses.map(\.address))
            report.unresolved = zip(configuration.servers, lookups).filter { $1.isEmpty }.map { $0.0 }
            let probe = MappingProbe(sockets: local.sockets, hosts: local.hosts, eventLoop: eventLoop)
            return probe.ask(lookups.flatMap { $0 }).assumeIsolated().map { mapping in
                report.mapping = mapping
                report.answers = probe.gathering.results.map(Self.answer)
                return report
            }.nonisolated()
        }
    }

    private init(sockets: [UDPSocket], hosts: [ICECandidate], eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.sockets = sockets
        self.promise = eventLoop.makePromise()
        self.gathering = STUNGathering(hosts: hosts, timeLimit: Self.timeLimit)
        for socket in sockets { socket.delegate = self }
    }

    /// The addresses of a server; none when its name cannot be resolved in time.
    private static func resolve(
        _ server: PeerChannelConfiguration.STUNServerAddress, on eventLoop: any EventLoop
    ) -> EventLoopFuture<[SocketAddress]> {
        let lookup = NameResolver.shared.lookUp(server.host, port: server.port, on: eventLoop)
        let limit = eventLoop.scheduleTask(in: Self.lookupLimit) { lookup.cancel() }
        return lookup.allAddresses.always { _ in limit.cancel() }.recover { _ in [] }
    }

    private func ask(_ servers: [SocketAddress]) -> EventLoopFuture<MappingBehavior> {
        self.gathering.start(servers: servers, at: self.eventLoop.now)
        self.advance()
        return self.promise.futureResult
    }

    /// Performs what the last change asks for, and sets the timer anew.
    private func advance() {
        while let output = self.gathering.next() {
            switch output {
            case .send(let request, let base, let server):
                if case .refused = self.sockets[base.rawValue].send(request, segmentSize: nil, to: server) {
                    self.gathering.sendFailed(on: base, to: server)
                }
            case .candidate, .failed:
                break  // The results have it.
            case .ended(let mapping):
                return self.end(mapping)
            }
        }
        self.timer?.cancel()
        self.timer = self.gathering.nextDeadline.map { deadline in
            self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                self.gathering.handleTimeout(at: self.eventLoop.now)
                self.advance()
            }
        }
    }

    private func end(_ mapping: MappingBehavior) {
        self.timer?.cancel()
        self.timer = nil
        for socket in self.sockets { socket.close() }
        self.promise.succeed(mapping)
    }

    private static func answer(_ result: STUNGathering.Result) -> Report.Answer {
        let outcome: Report.Answer.Outcome =
            switch result.outcome {
            case .mapped(let address): .mapped(address)
            case .failed(nil): .noAnswer
            case .failed(let error?): .failed("\(error)")
            case .refused: .notSent
            }
        return Report.Answer(server: result.server, outcome: outcome)
    }
}

@available(*, unavailable)
extension MappingProbe: Sendable {}

extension MappingProbe: UDPSocketDelegate {
    func socket(
        _ socket: UDPSocket, received bytes: ByteBuffer, segmentSize: Int?, from source: SocketAddress,
        at local: SocketAddress?
    ) {
        guard let index = self.sockets.firstIndex(where: { $0 === socket }) else { return }
        if self.gathering.receive(bytes, on: LocalBaseID(index), from: source, at: self.eventLoop.now) {
            self.advance()
        }
    }

    func socketReceiveComplete(_ socket: UDPSocket) {}

    func socketWritabilityChanged(_ socket: UDPSocket) {}

    /// The questions asked from it go without answers.
    func socketFailed(_ socket: UDPSocket, error: (any Error)?) {}
}
