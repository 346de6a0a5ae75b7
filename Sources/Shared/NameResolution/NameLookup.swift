package import NIOCore
import NIOPosix
import Synchronization

/// One name being looked up: both families at once, neither of which waits for the other (RFC 8305 §3).
///
/// As a `Resolver` it serves one attempt to connect, to the name that it was made for.
package final class NameLookup: Sendable {
    /// How long the addresses of one family wait for the other's: RFC 8305 §3, Resolution Delay.
    private static let resolutionDelay = TimeAmount.milliseconds(50)

    let name: String
    let port: UInt16
    package let eventLoop: any EventLoop
    let begun = NIODeadline.now()
    private let givenOwner: ObjectIdentifier?
    private let v4: EventLoopPromise<[SocketAddress]>
    private let v6: EventLoopPromise<[SocketAddress]>
    private let state = Mutex(State())

    private struct State {
        var isCancelled = false
        /// Called when it is cancelled.
        var cancelled: (@Sendable () -> Void)?
    }

    init(name: String, port: UInt16, owner: ObjectIdentifier?, eventLoop: any EventLoop) {
        self.givenOwner = owner
        self.name = name
        self.port = port
        self.eventLoop = eventLoop
        self.v4 = eventLoop.makePromise()
        self.v6 = eventLoop.makePromise()
    }

    /// For whom it is: what several have to look up is done in turns.
    var owner: ObjectIdentifier { self.givenOwner ?? ObjectIdentifier(self) }

    /// Its IPv4 addresses, in the order of the answer; empty when it has none. Fails with a ``NameLookupError``.
    package var v4Addresses: EventLoopFuture<[SocketAddress]> { self.v4.futureResult }
    /// Its IPv6 addresses, likewise.
    package var v6Addresses: EventLoopFuture<[SocketAddress]> { self.v6.futureResult }

    /// The addresses of both families, which take turns, IPv6 first (RFC 8305 §4); those of one family when the
    /// other's answer is late. Never empty. Fails with a ``NameLookupError``.
    package var addresses: EventLoopFuture<[SocketAddress]> {
        let promise = self.eventLoop.makePromise(of: [SocketAddress].self)
        let (v4, v6) = (self.v4Addresses, self.v6Addresses)
        for family in [v4, v6] {
            family.whenSuccess { addresses in
                guard !addresses.isEmpty else { return }
                // Only the first completion counts.
                family.eventLoop.scheduleTask(in: Self.resolutionDelay) { promise.succeed(addresses) }
            }
        }
        self.allAddresses.cascade(to: promise)
        return promise.futureResult
    }

    /// The same when both families are answered, or it is cancelled: then those that are known.
    package var allAddresses: EventLoopFuture<[SocketAddress]> {
        EventLoopFuture.whenAllComplete([self.v6Addresses, self.v4Addresses], on: self.eventLoop)
            .flatMapThrowing { results in
                let families = results.map { (try? $0.get()) ?? [] }
                let addresses = Self.takingTurns(families[0], families[1])
                guard addresses.isEmpty else { return addresses }
                let errors = results.compactMap { result -> (any Error)? in
                    if case .failure(let error) = result { error } else { nil }
                }
                throw errors.first ?? NameLookupError.notFound
            }
    }

    /// Alternates between two lists until both are used up.
    static func takingTurns(_ first: [SocketAddress], _ second: [SocketAddress]) -> [SocketAddress] {
        (0..<max(first.count, second.count)).flatMap { index in
            [first, second].compactMap { $0.indices.contains(index) ? $0[index] : nil }
        }
    }

    /// Ends it: what is not answered yet fails with `.cancelled`, and questions that are under way are not repeated, unless
    /// so many names are being looked up that they share a channel.
    package func cancel() {
        let cancelled = self.state.withLock { state in
            state.isCancelled = true
            defer { state.cancelled = nil }
            return state.cancelled
        }
        cancelled?()
        self.complete(with: .failure(.cancelled))
    }

    var isCancelled: Bool { self.state.withLock { $0.isCancelled } }

    /// What is to happen when it is cancelled, which it may be already.
    func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isCancelled = self.state.withLock { state in
            if !state.isCancelled { state.cancelled = body }
            return state.isCancelled
        }
        if isCancelled { body() }
    }

    /// Answers for one family, with addresses of any port; only the first answer counts.
    func complete(_ family: AddressFamily, with result: Result<[SocketAddress], NameLookupError>) {
        let promise = family == .v4 ? self.v4 : self.v6
        switch result {
        case .success(let addresses):
            promise.succeed(
                addresses.map { address in
                    var address = address
                    address.port = Int(self.port)
                    return address
                })
        case .failure(let error):
            promise.fail(error)
        }
    }

    /// Answers for both families, with addresses of either; only the first answers count.
    func complete(with result: Result<[SocketAddress], NameLookupError>) {
        for family in AddressFamily.allCases {
            self.complete(
                family,
                with: result.map { $0.filter { ($0.protocol == .inet) == (family == .v4) } })
        }
    }
}

extension NameLookup: Resolver {
    package func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { self.v6Addresses }

    package func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> { self.v4Addresses }

    package func cancelQueries() { self.cancel() }
}
