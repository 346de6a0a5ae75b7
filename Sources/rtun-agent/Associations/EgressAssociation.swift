import Basics
import FlowLedger
import HostNetwork
import NIOCore
import NameResolution
import Tunnel
import UDPAssociation

/// Why a datagram of an association was dropped at the agent. The raw values stand in logs.
enum AssociationDrop: String, CaseIterable {
    /// The egress policy refuses its target.
    case policy
    /// The name of its target has no address, or too many names are being looked up.
    case name
    /// Its payload is larger than what is carried.
    case oversize
    /// There are as many UDP flows as there may be, or the system gives no further socket.
    case flowLimit = "flow_limit"
    /// It needs a socket, and flows are being opened too fast.
    case flowRate = "flow_rate"
    /// This machine's kernel did not take it.
    case notSent = "not_sent"
}

/// What the associations of a tunnel share.
protocol AssociationHost: AnyObject {
    var rules: EgressRules { get }
    var names: NameResolver { get }
    /// For whom names are looked up.
    var owner: ObjectIdentifier { get }
    var eventLoop: any EventLoop { get }
    /// The association's socket for a family, noting that it is used now; nil when there is none to be had, which has been
    /// counted.
    func socket(_ family: IPAddress.Family, of association: EgressAssociation) -> AssociationSocket?
    /// Somebody has answered to that socket.
    func answered(_ key: AssociationSocketKey)
    func failed(_ socket: AssociationSocket, _ error: (any Error)?)
    func dropped(_ reason: AssociationDrop, _ count: Int, _ endpoint: Endpoint?)
    func ended(_ association: EgressAssociation, _ outcome: FlowOutcome)
}

/// One UDP association of a client at the agent: takes its datagrams to their targets, and brings it whatever comes to its
/// sockets. Belongs to the tunnel's event loop.
final class EgressAssociation {
    let association: TunnelAssociation
    /// When it began.
    let since: NIODeadline
    /// Towards targets, and from them.
    private(set) var traffic = FlowTraffic()
    private weak var host: (any AssociationHost)?
    private var names = AssociationNames()
    private var targets = AssociationTargets()
    private var lookups: [String: NameLookup] = [:]
    private var unflushed: [AssociationSocket] = []

    init(_ association: TunnelAssociation, host: any AssociationHost) {
        self.association = association
        self.host = host
        self.since = host.eventLoop.now
        association.delegate = self
    }

    /// Ends it for the client, too. Its sockets are the host's.
    func close() {
        self.association.close()
        self.stop()
    }

    private func stop() {
        let lookups = self.lookups
        self.lookups = [:]
        for lookup in lookups.values { lookup.cancel() }
        self.unflushed = []
    }

    // MARK: To the targets

    private func send(
        _ payload: ByteBuffer, _ endpoint: Endpoint, at addresses: [IPAddress], _ host: any AssociationHost
    ) {
        let destination = self.targets.destination(of: endpoint, at: addresses, by: host.rules) {
            NetworkRoute.lookup(to: $0) != nil
        }
        self.send(payload, endpoint, to: destination, host)
    }

    private func send(
        _ payload: ByteBuffer, _ endpoint: Endpoint, to destination: SocketAddress?, _ host: any AssociationHost
    ) {
        guard let destination else { return host.dropped(.policy, 1, endpoint) }
        guard let socket = host.socket(destination.protocol == .inet6 ? .v6 : .v4, of: self) else { return }
        self.traffic.sent += UInt64(payload.readableBytes)
        let lost = socket.send(payload, to: destination)
        if lost > 0 { host.dropped(.notSent, lost, endpoint) }
        guard !socket.needsFlush else { return }
        socket.needsFlush = true
        self.unflushed.append(socket)
    }

    private func flush(_ host: any AssociationHost) {
        for socket in self.unflushed {
            let lost = socket.flush()
            if lost > 0 { host.dropped(.notSent, lost, nil) }
        }
        self.unflushed.removeAll(keepingCapacity: true)
    }

    private func send(_ payload: ByteBuffer, _ endpoint: Endpoint, to name: String, _ host: any AssociationHost) {
        guard !self.targets.isHopeless(endpoint, by: host.rules) else { return host.dropped(.policy, 1, endpoint) }
        let answer = self.names.look(
            name, for: AssociationNames.Waiting(payload: payload, endpoint: endpoint), at: host.eventLoop.now)
        switch answer {
        case .addresses([]), .full: host.dropped(.name, 1, endpoint)
        case .addresses(let addresses): self.send(payload, endpoint, at: addresses, host)
        case .asked: break
        case .ask: self.ask(name, host)
        }
    }

    private func ask(_ name: String, _ host: any AssociationHost) {
        // The port is each datagram's own.
        let lookup = host.names.lookUp(name, port: 0, for: host.owner, on: host.eventLoop)
        self.lookups[name] = lookup
        lookup.addresses.assumeIsolated().whenComplete { [weak self] result in
            self?.answered(name, (try? result.get()) ?? [])
        }
    }

    private func answered(_ name: String, _ addresses: [SocketAddress]) {
        guard let host = self.host, self.lookups.removeValue(forKey: name) != nil else { return }
        let found = addresses.compactMap { IPAddress($0) }
        // UDP does not tell which family gets through. Where both are there, IPv4 is more likely to.
        let inOrder = found.filter { $0.family == .v4 } + found.filter { $0.family == .v6 }
        for waiting in self.names.answered(name, inOrder, at: host.eventLoop.now) {
            if inOrder.isEmpty {
                host.dropped(.name, 1, waiting.endpoint)
            } else {
                self.send(waiting.payload, waiting.endpoint, at: inOrder, host)
            }
        }
        self.flush(host)
    }
}

@available(*, unavailable)
extension EgressAssociation: Sendable {}

extension EgressAssociation: TunnelAssociationDelegate {
    func association(_ association: TunnelAssociation, received payload: ByteBuffer, with endpoint: Endpoint) {
        guard let host = self.host else { return }
        if let known = self.targets.known(endpoint, by: host.rules) {
            return self.send(payload, endpoint, to: known, host)
        }
        switch endpoint.host {
        case .address(let address): self.send(payload, endpoint, at: [address], host)
        case .name(let name): self.send(payload, endpoint, to: name, host)
        }
    }

    func associationReceiveComplete(_ association: TunnelAssociation) {
        if let host = self.host { self.flush(host) }
    }

    func association(_ association: TunnelAssociation, ended: TunnelAssociation.End) {
        self.stop()
        self.host?.ended(self, ended == .tunnelClosed ? .reset : .closed)
    }
}

extension EgressAssociation: AssociationSocketDelegate {
    func socket(_ socket: AssociationSocket, received payload: ByteBuffer, from source: SocketAddress) {
        guard let host = self.host, let endpoint = Endpoint(source) else { return }
        host.answered(socket.key)
        guard self.association.send(payload, endpoint) else { return host.dropped(.oversize, 1, endpoint) }
        self.traffic.received += UInt64(payload.readableBytes)
    }

    func socket(_ socket: AssociationSocket, failed error: (any Error)?) {
        self.host?.failed(socket, error)
    }
}
