import Basics
package import NIOCore
import Synchronization

/// Turns names into addresses, and lets nobody's names hold up another's.
///
/// Names are looked up by c-ares, on a thread of its own, as many at once as there are; what c-ares does not know of (mDNS,
/// modules of the name service switch) is asked of getaddrinfo(3), which blocks, on a few threads besides.
package final class NameResolver: Sendable {
    /// The one that the programs use.
    package static let shared = NameResolver()

    /// How many names may be looked up at once, those included that nobody waits for any more, as long as they cost
    /// something. A lookup takes about 1 KiB.
    static let maximumLookups = 16_384

    private let configuration: AresConfiguration
    private let sources: @Sendable () -> HostSources?
    private let thread = Mutex<ResolverThread?>(nil)
    private let system = SystemLookup()
    /// Of these, each owner has its share.
    private let places: Mutex<Shares<ObjectIdentifier, ObjectIdentifier>>

    /// A resolver that asks as this machine is set up to.
    package convenience init() {
        self.init(AresConfiguration()) { HostSources.current() }
    }

    /// A resolver that asks other name servers, and `sources` for what those do not know.
    init(
        _ configuration: AresConfiguration, maximumLookups: Int = NameResolver.maximumLookups,
        sources: @escaping @Sendable () -> HostSources?
    ) {
        self.configuration = configuration
        self.places = Mutex(Shares(limit: maximumLookups, factor: 7))
        self.sources = sources
    }

    /// Begins to look up a name, or an address in any of the forms that inet_aton(3) and RFC 4007 know.
    ///
    /// - Parameters:
    ///   - port: what the addresses get as their port.
    ///   - owner: for whom it is; owners get their turns, and their shares of what may be looked up at once, however many
    ///     names one of them has. Nil for one of its own.
    ///   - eventLoop: where the answers come.
    package func lookUp(
        _ name: String, port: UInt16, for owner: ObjectIdentifier? = nil, on eventLoop: any EventLoop
    ) -> NameLookup {
        let lookup = NameLookup(name: name, port: port, owner: owner, eventLoop: eventLoop)
        // A dot at the end says that the name is whole.
        let bare = name.hasSuffix(".") ? String(name.dropLast()) : name
        // C would see less of such a name than was checked.
        if bare.isEmpty || name.utf8.contains(0) {
            lookup.complete(with: .failure(.failed("it is not a valid name")))
        } else if let address = SystemLookup.numericAddress(bare) {
            lookup.complete(with: .success([address]))
        } else if Self.isLast("invalid", of: bare) {
            lookup.complete(with: .failure(.notFound))
        } else if Self.isLast("localhost", of: bare) {
            lookup.complete(with: .success(SystemLookup.loopback))
        } else {
            self.begin(lookup)
        }
        return lookup
    }

    /// Whether a name is one of those that mean the same everywhere: `invalid` ones exist nowhere, those of `localhost` are
    /// loopback (RFC 6761 §6.3 and §6.4).
    private static func isLast(_ label: String, of name: String) -> Bool {
        name.split(separator: ".").last?.lowercased() == label
    }

    private func begin(_ lookup: NameLookup) {
        guard self.places.withLock({ $0.take(by: lookup.owner) }) else { return lookup.complete(with: .failure(.busy)) }
        do {
            let thread = try self.thread.withLock { thread in
                if let thread { return thread }
                let started = try ResolverThread(
                    configuration: self.configuration, sources: self.sources, system: self.system
                ) { self.ended($0) }
                thread = started
                return started
            }
            thread.start(lookup)
        } catch {
            self.ended(lookup)
            lookup.complete(with: .failure(.noSocket))
        }
    }

    /// A lookup costs nothing any more.
    private func ended(_ lookup: NameLookup) { self.places.withLock { $0.giveBack(by: lookup.owner) } }
}
