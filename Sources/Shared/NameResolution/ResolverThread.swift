import CAres
import DequeModule
import NIOCore
import Synchronization
import UDP

#if canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The thread on which c-ares runs: it waits for all sockets of all lookups at once, and takes new lookups meanwhile.
final class ResolverThread: Sendable {
    private enum Command {
        case start(UInt64, NameLookup)
        case cancel(UInt64)
    }

    private struct Inbox {
        var commands: [Command] = []
        var nextID: UInt64 = 0
    }

    private let inbox = Mutex(Inbox())
    /// An eventfd(2): what is written to it ends the wait.
    private let waker: CInt

    /// Starts the thread, which lives as long as the process. Throws `IOError`.
    init(
        configuration: AresConfiguration, sources: @escaping @Sendable () -> HostSources, system: SystemLookup
    ) throws(IOError) {
        self.waker = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        guard self.waker >= 0 else { throw IOError(errnoCode: errno, reason: "eventfd") }
        do {
            try DetachedThread.start {
                self.run(AresLookups(configuration: configuration, sources: sources, system: system))
            }
        } catch {
            close(self.waker)
            throw error
        }
    }

    /// Looks a name up; the answers go to `lookup`.
    func start(_ lookup: NameLookup) {
        let id = self.inbox.withLock { inbox in
            defer { inbox.nextID += 1 }
            inbox.commands.append(.start(inbox.nextID, lookup))
            return inbox.nextID
        }
        self.wake()
        lookup.onCancel {
            self.inbox.withLock { $0.commands.append(.cancel(id)) }
            self.wake()
        }
    }

    private func takeCommands() -> [Command] {
        self.inbox.withLock { inbox in
            defer { inbox.commands = [] }
            return inbox.commands
        }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(self.waker, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: On the thread

    private func run(_ lookups: AresLookups) -> Never {
        var nextTick = ContinuousClock.now
        while true {
            let waits = lookups.waits
            var descriptors = [pollfd(fd: self.waker, events: Int16(POLLIN), revents: 0)]
            descriptors += waits.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
            _ = poll(&descriptors, nfds_t(descriptors.count), lookups.isIdle ? -1 : AresLookups.tick)

            if descriptors[0].revents != 0 {
                var count: UInt64 = 0
                _ = read(self.waker, &count, MemoryLayout<UInt64>.size)
            }
            for (wait, descriptor) in zip(waits, descriptors.dropFirst()) where descriptor.revents != 0 {
                wait.channel.process(descriptor.fd, events: descriptor.revents)
            }
            let now = ContinuousClock.now
            if now >= nextTick {
                nextTick = now + .milliseconds(Int(AresLookups.tick))
                lookups.processTimeouts(at: now)
            }
            for command in self.takeCommands() {
                switch command {
                case .start(let id, let lookup): lookups.start(id, lookup)
                case .cancel(let id): lookups.cancel(id)
                }
            }
            lookups.dropIdleChannels()
        }
    }
}

/// The lookups under way, and the channels of c-ares that serve them. Belongs to the thread.
private final class AresLookups {
    /// How often questions are looked at whose time may be over, in milliseconds.
    static let tick: CInt = 50
    /// How many channels there may be: one takes some 75 KiB. Each lookup has its own as long as there are fewer, and shares
    /// one then.
    private static let maximumChannels = 128
    /// How long name servers have in all. Less than a connection attempt takes, so that the reason is known by then.
    private static let timeLimit = Duration.seconds(8)

    private struct Lookup {
        let names: NameLookup
        let channel: AresChannel
        var pending = Set(AddressFamily.allCases)
    }

    private let configuration: AresConfiguration
    private let sources: () -> HostSources
    private let system: SystemLookup
    private var lookups: [UInt64: Lookup] = [:]
    /// When the lookups end, in the order of that; those that have ended may still be there.
    private var deadlines: Deque<(id: UInt64, instant: ContinuousClock.Instant)> = []
    /// With how many lookups each serves.
    private var channels: [(channel: AresChannel, users: Int)] = []
    private var nextShared = 0

    init(configuration: AresConfiguration, sources: @escaping () -> HostSources, system: SystemLookup) {
        self.configuration = configuration
        self.sources = sources
        self.system = system
    }

    var isIdle: Bool { self.lookups.isEmpty }

    /// All sockets, and what they wait for.
    var waits: [(channel: AresChannel, descriptor: CInt, events: Int16)] {
        self.channels.flatMap { entry in
            entry.channel.interests.map { (entry.channel, $0.key, $0.value) }
        }
    }

    func start(_ id: UInt64, _ lookup: NameLookup) {
        guard !lookup.isCancelled else { return }
        if self.sources().areAlone(for: lookup.name) { return self.system.start(lookup) }
        let channel: AresChannel
        do throws(NameLookupError) {
            channel = try self.takeChannel()
        } catch {
            return lookup.complete(with: .failure(error))
        }
        self.lookups[id] = Lookup(names: lookup, channel: channel)
        self.deadlines.append((id, .now + Self.timeLimit))
        for family in AddressFamily.allCases {
            channel.ask(lookup.name, family) { result in
                self.answered(id, family, result)
            }
        }
    }

    func cancel(_ id: UInt64) {
        self.end(id)
    }

    /// Repeats questions without an answer, and gives up those that have taken too long.
    func processTimeouts(at now: ContinuousClock.Instant) {
        for entry in self.channels { entry.channel.processTimeouts() }
        while let first = self.deadlines.first, first.instant <= now {
            self.deadlines.removeFirst()
            self.lookups[first.id]?.names.complete(with: .failure(.noAnswer))
            self.end(first.id)
        }
    }

    /// Closes channels that serve no lookup any more, which cannot be done from within one of them.
    func dropIdleChannels() {
        let idle = self.channels.filter { $0.users == 0 }
        guard !idle.isEmpty else { return }
        self.channels.removeAll { $0.users == 0 }
        for entry in idle { entry.channel.close() }
    }

    private func takeChannel() throws(NameLookupError) -> AresChannel {
        if self.channels.count < Self.maximumChannels {
            let channel = try AresChannel(self.configuration)
            self.channels.append((channel, 1))
            return channel
        }
        self.nextShared = (self.nextShared + 1) % self.channels.count
        self.channels[self.nextShared].users += 1
        return self.channels[self.nextShared].channel
    }

    private func answered(_ id: UInt64, _ family: AddressFamily, _ result: Result<[SocketAddress], NameLookupError>) {
        guard let lookup = self.lookups[id] else { return }
        if case .failure(.notFound) = result, self.sources().mayKnow(lookup.names.name) {
            self.end(id)
            return self.system.start(lookup.names)
        }
        lookup.names.complete(family, with: result)
        self.lookups[id]?.pending.remove(family)
        if self.lookups[id]?.pending.isEmpty == true { self.end(id) }
    }

    private func end(_ id: UInt64) {
        guard let lookup = self.lookups.removeValue(forKey: id),
            let index = self.channels.firstIndex(where: { $0.channel === lookup.channel })
        else { return }
        self.channels[index].users -= 1
    }
}

@available(*, unavailable)
extension AresLookups: Sendable {}
