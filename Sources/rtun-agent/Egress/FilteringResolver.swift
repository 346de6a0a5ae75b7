import Basics
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Why a name gave no address to connect to.
enum ResolutionError: Error, Equatable {
    /// It has addresses, and the egress policy refuses all of them.
    case refusedByPolicy
    /// It could not be resolved; the resolver's words.
    case failed(String)
    /// Nobody waits for the answer any more.
    case cancelled
}

/// Resolves one name for one connection attempt and shows the connector only addresses that the policy permits, so that
/// a name cannot lead where its addresses may not.
final class FilteringResolver: Resolver, Sendable {
    private let policy: EgressPolicy
    private let port: UInt16
    private let threads: NIOThreadPool
    private let v4Addresses: EventLoopPromise<[SocketAddress]>
    private let v6Addresses: EventLoopPromise<[SocketAddress]>
    private let isCancelled = Atomic(false)

    /// A resolver for one attempt on `eventLoop`; the blocking call runs on `threads`.
    init(policy: EgressPolicy, port: UInt16, eventLoop: any EventLoop, threads: NIOThreadPool) {
        self.policy = policy
        self.port = port
        self.threads = threads
        self.v4Addresses = eventLoop.makePromise()
        self.v6Addresses = eventLoop.makePromise()
    }

    /// The connector asks for both families, AAAA first: one call answers both (RFC 8305 section 3 wants no more than
    /// that neither waits for the other, which getaddrinfo cannot offer).
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        self.threads.runIfActive(eventLoop: self.v4Addresses.futureResult.eventLoop) {
            // Slow names keep others waiting for a thread: those must not be looked up for nobody.
            if self.isCancelled.load(ordering: .relaxed) { throw ResolutionError.cancelled }
            return try NameLookup.addresses(of: host, port: self.port)
        }.whenComplete { result in
            self.complete(result)
        }
        return self.v6Addresses.futureResult
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        self.v4Addresses.futureResult
    }

    /// getaddrinfo cannot be interrupted: a late answer completes promises that nobody looks at any more. One that has not
    /// begun is left out.
    func cancelQueries() {
        self.isCancelled.store(true, ordering: .relaxed)
    }

    private func complete(_ result: Result<[SocketAddress], any Error>) {
        switch result.flatMap({ addresses in Result { try self.filter(addresses) } }) {
        case .success(let addresses):
            self.v6Addresses.succeed(addresses.filter { $0.protocol == .inet6 })
            self.v4Addresses.succeed(addresses.filter { $0.protocol == .inet })
        case .failure(let error):
            self.v6Addresses.fail(error)
            self.v4Addresses.fail(error)
        }
    }

    private func filter(_ addresses: [SocketAddress]) throws(ResolutionError) -> [SocketAddress] {
        let permitted = addresses.filter { address in
            IPAddress(address).map { self.policy.permits($0, port: self.port) } ?? false
        }
        if permitted.isEmpty && !addresses.isEmpty { throw .refusedByPolicy }
        return permitted
    }
}

/// The system's resolver.
enum NameLookup {
    /// The addresses of `host`, both families, in the order of RFC 6724. Blocks.
    static func addresses(of host: String, port: UInt16) throws(ResolutionError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            throw .failed(gai_strerror(status).map { String(cString: $0).lowercased() } ?? "error \(status)")
        }
        defer { freeaddrinfo(list) }

        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ai_next
            guard let address = entry.ai_addr else { continue }
            switch entry.ai_family {
            case AF_INET:
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    addresses.append(SocketAddress($0.pointee))
                }
            case AF_INET6:
                address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                    addresses.append(SocketAddress($0.pointee))
                }
            default: break
            }
        }
        return addresses
    }
}
