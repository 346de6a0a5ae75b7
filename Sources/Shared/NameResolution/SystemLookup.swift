import CAres
import LibC
import NIOCore
import NIOPosix
import Synchronization
import UDP

/// getaddrinfo(3), which asks all that this machine is set up to ask, and blocks meanwhile: on a few threads, for names that
/// only it can know.
final class SystemLookup: Sendable {
    private static let threadCount = 4
    /// Nobody's names take all of them.
    private static let threadsOfOne = 3
    /// Names that wait for a thread, and those of one owner; more are refused.
    private static let maximumWaiting = 256
    private static let maximumWaitingOfOne = 32
    /// How long one may wait.
    private static let patience = TimeAmount.seconds(8)

    private struct State {
        var threads: NIOThreadPool?
        var waiting = FairQueue<ObjectIdentifier, NameLookup>()
        /// How many threads work for each owner.
        var running: [ObjectIdentifier: Int] = [:]

        mutating func take(_ lookup: NameLookup) -> Bool {
            if !self.hasRoom(for: lookup.owner) { self.waiting.removeAll { $0.isCancelled } }
            guard self.hasRoom(for: lookup.owner) else { return false }
            self.waiting.append(lookup, of: lookup.owner)
            return true
        }

        private func hasRoom(for owner: ObjectIdentifier) -> Bool {
            self.waiting.count < SystemLookup.maximumWaiting
                && self.waiting.count(of: owner) < SystemLookup.maximumWaitingOfOne
        }

        /// The next one to work on, and the threads for it; nil when nothing waits, or no thread is left for it.
        mutating func next() -> (lookup: NameLookup, threads: NIOThreadPool)? {
            guard self.running.values.reduce(0, +) < SystemLookup.threadCount else { return nil }
            let running = self.running
            guard
                let (owner, lookup) = self.waiting.popFirst(where: {
                    running[$0, default: 0] < SystemLookup.threadsOfOne
                })
            else { return nil }
            self.running[owner, default: 0] += 1
            if let threads = self.threads { return (lookup, threads) }
            let threads = NIOThreadPool(numberOfThreads: SystemLookup.threadCount)
            threads.start()
            self.threads = threads
            return (lookup, threads)
        }

        mutating func ended(_ owner: ObjectIdentifier) {
            let count = self.running[owner, default: 1] - 1
            self.running[owner] = count > 0 ? count : nil
        }
    }

    private let state = Mutex(State())

    /// Answers `lookup` for those families that have no answer yet; with `.busy` when too many wait already.
    func start(_ lookup: NameLookup) {
        guard self.state.withLock({ $0.take(lookup) }) else { return lookup.complete(with: .failure(.busy)) }
        self.startNext()
    }

    private func startNext() {
        guard let (lookup, threads) = self.state.withLock({ $0.next() }) else { return }
        threads.submit { _ in
            if lookup.isCancelled {
                lookup.complete(with: .failure(.cancelled))
            } else if NIODeadline.now() - lookup.begun > Self.patience {
                lookup.complete(with: .failure(.noAnswer))
            } else {
                lookup.complete(with: Result { () throws(NameLookupError) in try Self.addresses(of: lookup.name) })
            }
            self.state.withLock { $0.ended(lookup.owner) }
            self.startNext()
        }
    }

    /// Loopback, of both families.
    static var loopback: [SocketAddress] {
        ["::1", "127.0.0.1"].compactMap { try? SocketAddress(ipAddress: $0, port: 0) }
    }

    /// The address that `text` is, in any form that getaddrinfo(3) takes for one; nil for names. Does not block.
    static func numericAddress(_ text: String) -> SocketAddress? {
        try? self.addresses(of: text, flags: AI_NUMERICHOST).first
    }

    /// The addresses of `name`, both families, port 0. Blocks, unless `flags` say that it is an address.
    private static func addresses(of name: String, flags: CInt = 0) throws(NameLookupError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = SocketKind.stream
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
