import CAres
import NIOCore
import NIOPosix
import Synchronization
import UDP

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// getaddrinfo(3), which asks all that this machine is set up to ask, and blocks meanwhile: on a few threads, for names that
/// only it can know.
final class SystemLookup: Sendable {
    private static let threadCount = 4
    /// Names that wait for a thread; more are refused.
    private static let maximumWaiting = 256

    private let threads = Mutex<NIOThreadPool?>(nil)
    private let waiting = Atomic(0)

    /// Answers `lookup` for those families that have no answer yet; with `.busy` when too many wait already.
    func start(_ lookup: NameLookup) {
        guard self.waiting.add(1, ordering: .relaxed).newValue <= Self.maximumWaiting else {
            self.waiting.subtract(1, ordering: .relaxed)
            return lookup.complete(with: .failure(.busy))
        }
        let threads = self.threads.withLock { threads in
            if let threads { return threads }
            let started = NIOThreadPool(numberOfThreads: Self.threadCount)
            started.start()
            threads = started
            return started
        }
        threads.submit { state in
            self.waiting.subtract(1, ordering: .relaxed)
            guard case .active = state, !lookup.isCancelled else {
                return lookup.complete(with: .failure(.cancelled))
            }
            lookup.complete(with: Result { () throws(NameLookupError) in try Self.addresses(of: lookup.name) })
        }
    }

    /// The address that `text` is, in any form that getaddrinfo(3) takes for one; nil for names. Does not block.
    static func numericAddress(_ text: String) -> SocketAddress? {
        try? self.addresses(of: text, flags: AI_NUMERICHOST).first
    }

    /// The addresses of `name`, both families, port 0. Blocks, unless `flags` say that it is an address.
    private static func addresses(of name: String, flags: CInt = 0) throws(NameLookupError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else {
            switch status {
            case EAI_NONAME: throw .notFound
            case EAI_AGAIN: throw .noAnswer
            default: throw .failed(gai_strerror(status).map { String(cString: $0).lowercased() } ?? "error \(status)")
            }
        }
        defer { freeaddrinfo(list) }
        return sequence(first: list, next: { $0?.pointee.ai_next }).prefix { $0 != nil }
            .compactMap { SocketAddress(raw: $0?.pointee.ai_addr) }
    }
}
