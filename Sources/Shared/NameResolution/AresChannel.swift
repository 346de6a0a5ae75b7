import CAres
import LibC
import NIOCore
import UDP

/// A channel of c-ares: sockets of its own, and with them source ports of its own, for the questions of one or a few lookups.
///
/// Its callbacks come from within ``ask(_:_:answered:)``, ``process(_:events:)``, ``processTimeouts()`` and
/// ``close()``. It belongs to one thread.
final class AresChannel {
    /// What its sockets wait for: poll(2) events by descriptor.
    private(set) var interests: [CInt: Int16] = [:]
    private var channel: ares_channel?

    private static let libraryStatus = ares_library_init(ARES_LIB_INIT_ALL)

    /// Reads resolv.conf and what else c-ares is set up with. Throws a ``NameLookupError``.
    init(_ configuration: AresConfiguration) throws(NameLookupError) {
        guard Self.libraryStatus == CAres_SUCCESS else { throw Self.error(Self.libraryStatus) }
        var options = ares_options()
        options.timeout = configuration.timeout
        options.tries = configuration.tries
        options.udp_port = configuration.port
        options.tcp_port = configuration.port
        options.sock_state_cb = { argument, descriptor, readable, writable in
            guard let argument else { return }
            Unmanaged<AresChannel>.fromOpaque(argument).takeUnretainedValue()
                .socketChanged(descriptor, isReading: readable != 0, isWriting: writable != 0)
        }
        options.sock_state_cb_data = Unmanaged.passUnretained(self).toOpaque()
        var mask =
            ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT | ARES_OPT_SOCK_STATE_CB
        let path = configuration.resolverConfiguration.map { strdup($0) }
        defer { free(path ?? nil) }
        if let path {
            options.resolvconf_path = path
            mask |= ARES_OPT_RESOLVCONF
        }
        let status = ares_init_options(&self.channel, &options, mask)
        guard status == CAres_SUCCESS else { throw Self.error(status) }
    }

    /// Ends it, which must be done; questions without an answer end with `.cancelled`.
    func close() {
        ares_destroy(self.channel)
        self.channel = nil
    }

    /// Asks for the addresses of `name`; `answered` is called once, possibly before this returns. The addresses have port 0.
    func ask(
        _ name: String, _ family: AddressFamily,
        answered: @escaping (Result<[SocketAddress], NameLookupError>) -> Void
    ) {
        var hints = ares_addrinfo_hints()
        hints.ai_family = family.rawFamily
        hints.ai_socktype = SocketKind.stream
        // The name server's order stands; sorting would open a socket for each address.
        hints.ai_flags = ARES_AI_NOSORT
        let question = Unmanaged.passRetained(Question(answered))
        ares_getaddrinfo(
            self.channel, name, nil, &hints,
            { argument, status, _, list in
                defer { ares_freeaddrinfo(list) }
                guard let argument else { return }
                Unmanaged<Question>.fromOpaque(argument).takeRetainedValue().answered(AresChannel.result(status, list))
            }, question.toOpaque())
    }

    /// Goes on with a socket that poll(2) has something to tell of.
    func process(_ descriptor: CInt, events: Int16) {
        ares_process_fd(
            self.channel, events & ~Int16(POLLOUT) == 0 ? Self.noSocket : descriptor,
            events & Int16(POLLOUT) == 0 ? Self.noSocket : descriptor)
    }

    /// Repeats questions whose time is over, or gives them up.
    func processTimeouts() {
        ares_process_fd(self.channel, Self.noSocket, Self.noSocket)
    }

    /// ARES_SOCKET_BAD.
    private static let noSocket: CInt = -1

    private func socketChanged(_ descriptor: CInt, isReading: Bool, isWriting: Bool) {
        let events = (isReading ? POLLIN : 0) | (isWriting ? POLLOUT : 0)
        self.interests[descriptor] = events == 0 ? nil : Int16(events)
    }

    private static func result(
        _ status: CInt, _ list: UnsafeMutablePointer<ares_addrinfo>?
    ) -> Result<[SocketAddress], NameLookupError> {
        switch status {
        case CAres_SUCCESS:
            let nodes = sequence(first: list?.pointee.nodes, next: { $0?.pointee.ai_next }).prefix { $0 != nil }
            return .success(nodes.compactMap { SocketAddress(raw: $0?.pointee.ai_addr) })
        // The name exists, and has none of this family.
        case CAres_ENODATA:
            return .success([])
        default:
            return .failure(self.error(status))
        }
    }

    /// c-ares does not tell a name server that is not there from a socket that could not be had.
    private static var canOpenFile: Bool {
        let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        closeFile(descriptor)
        return true
    }

    private static func error(_ status: CInt) -> NameLookupError {
        switch status {
        case CAres_ENOTFOUND, CAres_ENONAME: .notFound
        case CAres_ETIMEOUT: .noAnswer
        // What c-ares says of servers that refuse the packet and, in Debian 12, of those that report a failure.
        case CAres_ECONNREFUSED where !Self.canOpenFile, CAres_EFILE where !Self.canOpenFile: .noSocket
        case CAres_ECONNREFUSED: .failed("there is no name server, or it failed")
        case CAres_ECANCELLED, CAres_EDESTRUCTION: .cancelled
        case CAres_ESERVFAIL: .failed("the name server failed")
        case CAres_EREFUSED: .failed("the name server refused to answer")
        case CAres_EBADNAME: .failed("it is not a valid name")
        default: .failed("the name server's answer cannot be used: \(String(cString: ares_strerror(status)))")
        }
    }
}

@available(*, unavailable)
extension AresChannel: Sendable {}

/// close(2), in a type that has a `close` of its own.
private func closeFile(_ descriptor: CInt) { _ = close(descriptor) }

/// What one question's callback needs.
private final class Question {
    let answered: (Result<[SocketAddress], NameLookupError>) -> Void

    init(_ answered: @escaping (Result<[SocketAddress], NameLookupError>) -> Void) { self.answered = answered }
}

@available(*, unavailable)
extension Question: Sendable {}
