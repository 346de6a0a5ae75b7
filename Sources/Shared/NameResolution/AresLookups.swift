import DequeModule
import NIOCore

/// The lookups under way, and the channels of c-ares that serve them. Belongs to the resolver's thread.
final class AresLookups {
    /// How often questions are looked at whose time may be over, in milliseconds.
    static let tick: CInt = 50
    /// A lookup has a channel of its own as long as there are fewer than this, some 75 KiB each, and shares one then.
    private static let ownChannels = 128
    /// How many there may be in all. Those that are not shared any more end with their last lookup.
    private static let maximumChannels = 256
    /// How long a channel takes on further lookups: it has its source ports, and what it has read in resolv.conf, for life.
    private static let sharingTime = Duration.seconds(10)
    /// How long name servers have in all. Less than a connection attempt takes, so that the reason is known by then.
    private static let timeLimit = Duration.seconds(8)

    private final class Channel {
        let ares: AresChannel
        let opened = ContinuousClock.now
        /// Lookups that somebody waits for.
        var users = 0

        init(_ configuration: AresConfiguration) throws(NameLookupError) { self.ares = try AresChannel(configuration) }
    }

    private struct Lookup {
        let names: NameLookup
        let channel: Channel
        /// What c-ares has not answered yet.
        var pending = Set(AddressFamily.allCases)
        /// Nobody waits for it; it still costs something if others share its channel.
        var isAbandoned = false
    }

    private let configuration: AresConfiguration
    private let readSources: () -> HostSources?
    private var sources = HostSources(parsing: "")
    private let system: SystemLookup
    private let ended: (NameLookup) -> Void
    private var lookups: [UInt64: Lookup] = [:]
    /// When the lookups end, in the order of that; those that have ended may still be there.
    private var deadlines: Deque<(id: UInt64, instant: ContinuousClock.Instant)> = []
    private var channels: [Channel] = []
    private var nextShared = 0

    /// Parameters as for ``ResolverThread``.
    init(
        configuration: AresConfiguration, sources: @escaping () -> HostSources?, system: SystemLookup,
        ended: @escaping (NameLookup) -> Void
    ) {
        self.configuration = configuration
        self.readSources = sources
        self.system = system
        self.ended = ended
    }

    var isIdle: Bool { self.lookups.isEmpty }

    /// All sockets, and what they wait for.
    var waits: [(channel: AresChannel, descriptor: CInt, events: Int16)] {
        self.channels.flatMap { channel in
            channel.ares.interests.map { (channel.ares, $0.key, $0.value) }
        }
    }

    func start(_ id: UInt64, _ lookup: NameLookup) {
        guard !lookup.isCancelled else { return self.ended(lookup) }
        if let sources = self.readSources() { self.sources = sources }
        if self.sources.areAlone(for: lookup.name) {
            self.system.start(lookup)
            return self.ended(lookup)
        }
        let channel: Channel
        do throws(NameLookupError) {
            channel = try self.takeChannel()
        } catch {
            lookup.complete(with: .failure(error))
            return self.ended(lookup)
        }
        self.lookups[id] = Lookup(names: lookup, channel: channel)
        self.deadlines.append((id, .now + Self.timeLimit))
        for family in AddressFamily.allCases {
            channel.ares.ask(lookup.name, family) { result in
                self.answered(id, family, result)
            }
        }
    }

    func cancel(_ id: UInt64) {
        self.abandon(id)
    }

    /// Repeats questions without an answer, and gives up those that have taken too long.
    func processTimeouts(at now: ContinuousClock.Instant) {
        for channel in self.channels { channel.ares.processTimeouts() }
        while let first = self.deadlines.first, first.instant <= now {
            self.deadlines.removeFirst()
            // What is abandoned may be with the system.
            if let lookup = self.lookups[first.id], !lookup.isAbandoned {
                lookup.names.complete(with: .failure(.noAnswer))
            }
            self.end(first.id)
        }
    }

    /// Closes channels that serve no lookup any more, which cannot be done from within one of them.
    func dropIdleChannels() {
        let idle = self.channels.filter { $0.users == 0 }
        guard !idle.isEmpty else { return }
        self.channels.removeAll { $0.users == 0 }
        // Ends what is abandoned there.
        for channel in idle { channel.ares.close() }
    }

    private func takeChannel() throws(NameLookupError) -> Channel {
        if self.channels.count >= Self.ownChannels {
            let youngest = ContinuousClock.now - Self.sharingTime
            let shared = self.channels.filter { $0.opened > youngest }
            if !shared.isEmpty {
                self.nextShared = (self.nextShared + 1) % shared.count
                shared[self.nextShared].users += 1
                return shared[self.nextShared]
            }
            guard self.channels.count < Self.maximumChannels else { throw .busy }
        }
        let channel = try Channel(self.configuration)
        channel.users = 1
        self.channels.append(channel)
        return channel
    }

    private func answered(
        _ id: UInt64, _ family: AddressFamily, _ result: Result<[SocketAddress], NameLookupError>
    ) {
        guard let lookup = self.lookups[id] else { return }
        self.lookups[id]?.pending.remove(family)
        if !lookup.isAbandoned {
            if case .failure(.notFound) = result, self.sources.mayKnow(lookup.names.name) {
                self.system.start(lookup.names)
                self.abandon(id)
            } else {
                lookup.names.complete(family, with: result)
            }
        }
        if self.lookups[id]?.pending.isEmpty == true { self.end(id) }
    }

    private func abandon(_ id: UInt64) {
        guard let lookup = self.lookups[id], !lookup.isAbandoned else { return }
        self.lookups[id]?.isAbandoned = true
        lookup.channel.users -= 1
    }

    private func end(_ id: UInt64) {
        self.abandon(id)
        if let lookup = self.lookups.removeValue(forKey: id) { self.ended(lookup.names) }
    }
}

@available(*, unavailable)
extension AresLookups: Sendable {}
