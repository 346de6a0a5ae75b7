import CAres
import LibC
import NIOCore
import Synchronization
import UDP

/// The thread on which c-ares runs: it waits for all sockets of all lookups at once, and takes new lookups meanwhile, from
/// their owners in turn.
final class ResolverThread: Sendable {
    /// So many lookups are begun before those under way are looked at again.
    private static let startsPerTurn = 64
    /// Lookups of one owner that may wait for their turn; more are refused.
    private static let maximumWaitingOfOne = 1024

    private struct Inbox {
        var waiting = FairQueue<ObjectIdentifier, (id: UInt64, lookup: NameLookup)>()
        var cancelled: [UInt64] = []
        var nextID: UInt64 = 0
    }

    private let inbox = Mutex(Inbox())
    /// Ends the wait.
    private let waker: WakeDescriptor
    private let ended: @Sendable (NameLookup) -> Void

    /// Starts the thread, which lives as long as the process. Throws `IOError`.
    ///
    /// - Parameters:
    ///   - sources: what this machine asks for names; nil when it cannot be found out just now.
    ///   - ended: called for each lookup when it costs nothing any more.
    init(
        configuration: AresConfiguration, sources: @escaping @Sendable () -> HostSources?, system: SystemLookup,
        ended: @escaping @Sendable (NameLookup) -> Void
    ) throws(IOError) {
        self.ended = ended
        self.waker = try WakeDescriptor()
        do {
            try DetachedThread.start {
                self.run(
                    AresLookups(configuration: configuration, sources: sources, system: system, ended: ended))
            }
        } catch {
            self.waker.close()
            throw error
        }
    }

    /// Looks a name up; the answers go to `lookup`.
    func start(_ lookup: NameLookup) {
        let id = self.inbox.withLock { inbox -> UInt64? in
            guard inbox.waiting.count(of: lookup.owner) < Self.maximumWaitingOfOne else { return nil }
            defer { inbox.nextID += 1 }
            inbox.waiting.append((inbox.nextID, lookup), of: lookup.owner)
            return inbox.nextID
        }
        guard let id else {
            lookup.complete(with: .failure(.busy))
            return self.ended(lookup)
        }
        self.waker.wake()
        lookup.onCancel {
            self.inbox.withLock { $0.cancelled.append(id) }
            self.waker.wake()
        }
    }

    // MARK: On the thread

    private func run(_ lookups: AresLookups) -> Never {
        var nextTick = ContinuousClock.now
        var hasMore = false
        while true {
            self.wait(for: lookups, atMost: hasMore ? 0 : lookups.isIdle ? -1 : AresLookups.tick)
            let now = ContinuousClock.now
            if now >= nextTick {
                nextTick = now + .milliseconds(Int(AresLookups.tick))
                lookups.processTimeouts(at: now)
            }
            let (started, cancelled, rest) = self.inbox.withLock { inbox in
                let started = (0..<Self.startsPerTurn).compactMap { _ in inbox.waiting.popFirst()?.element }
                defer { inbox.cancelled = [] }
                return (started, inbox.cancelled, !inbox.waiting.isEmpty)
            }
            hasMore = rest
            for (id, lookup) in started { lookups.start(id, lookup) }
            for id in cancelled { lookups.cancel(id) }
            lookups.dropIdleChannels()
        }
    }

    /// Waits for sockets and for the waker, and reads what has come.
    private func wait(for lookups: AresLookups, atMost milliseconds: CInt) {
        let waits = lookups.waits
        var descriptors = [pollfd(fd: self.waker.readable, events: Int16(POLLIN), revents: 0)]
        descriptors += waits.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
        if poll(&descriptors, nfds_t(descriptors.count), milliseconds) < 0, errno != EINTR {
            // Out of memory, say: later.
            usleep(useconds_t(AresLookups.tick) * 1000)
            return
        }
        if descriptors[0].revents != 0 { self.waker.drain() }
        for (wait, descriptor) in zip(waits, descriptors.dropFirst()) where descriptor.revents != 0 {
            wait.channel.process(descriptor.fd, events: descriptor.revents)
        }
    }
}
