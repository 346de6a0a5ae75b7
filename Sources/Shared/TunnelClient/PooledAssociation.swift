package import Basics
import ClientSupport
import DequeModule
import FlowLedger
package import NIOCore
package import Tunnel
import UDPAssociation

/// Hears how an association fares, on its event loop. Not called from inside a call to the association.
package protocol PooledAssociationDelegate: AnyObject {
    /// An agent has taken it: datagrams get through from now on. Called once.
    func associationStarted(_ association: PooledAssociation)
    /// A datagram has come from `endpoint`.
    func association(_ association: PooledAssociation, received payload: ByteBuffer, from endpoint: Endpoint)
    /// The end of a batch of datagrams.
    func associationReceiveComplete(_ association: PooledAssociation)
    /// It is over, or could not be. The last call.
    func association(_ association: PooledAssociation, ended: PooledAssociation.End)
}

/// A UDP association of a client, by way of whichever agent there is. Belongs to the pool's event loop.
///
/// When the agent is lost, it moves to the next one: targets see its datagrams come from another address, as after the change
/// of a NAT's mapping, which QUIC and most games survive; nothing tells the client, which would have to begin anew
/// otherwise. So it does when the tunnel has been silent while the client sends, unless the tunnel speaks again first.
package final class PooledAssociation {
    package enum End: Hashable, Sendable {
        /// The agent that there is carries no UDP: its version is too old.
        case unsupported
        /// There is no agent, or none that takes it.
        case failed(ConnectFailure)
        /// The agent has ended it.
        case closedByAgent
    }

    /// Its place in a tunnel.
    private struct Place {
        let association: TunnelAssociation
        let channel: AgentChannel<QUICTunnel>
        let share: StreamShare?
    }

    private enum State {
        /// It waits for its first place, or for another one after the loss of the last.
        case homeless(RequestID, waiting: Deque<(payload: ByteBuffer, endpoint: Endpoint)>)
        case placed(Place)
        /// Its tunnel is silent, and it waits for another place.
        case doubtful(Place, RequestID)
        case ended
    }

    /// Datagrams that wait for a place; then the oldest goes.
    private static let maximumWaiting = 16
    /// How long it puts up with a silent tunnel after nobody else was found.
    private static let doubtPause = TimeAmount.seconds(5)

    private weak var delegate: (any PooledAssociationDelegate)?
    private let pool: TunnelPool
    /// Who has asked for it.
    let origin: FlowOrigin
    private let flow: FlowLedger.FlowID
    private var state = State.ended
    private var isStarted = false
    private var doubtsAgainAt = NIODeadline.uptimeNanoseconds(0)
    private var traffic = FlowTraffic()

    init(_ pool: TunnelPool, for origin: FlowOrigin, flow: FlowLedger.FlowID, delegate: any PooledAssociationDelegate) {
        self.pool = pool
        self.origin = origin
        self.flow = flow
        self.delegate = delegate
    }

    /// Looks for its first place.
    func start() { self.state = .homeless(self.pool.request(for: self), waiting: []) }

    // MARK: For the client

    /// Sends a datagram. False when it is larger than what is carried.
    package func send(_ payload: ByteBuffer, to endpoint: Endpoint) -> Bool {
        guard payload.readableBytes <= AssociationLimits.payload else { return false }
        self.traffic.sent += UInt64(payload.readableBytes)
        switch self.state {
        case .placed(let place):
            if place.channel.carrier.isSuspect { self.doubt(place) }
            return place.association.send(payload, endpoint)
        case .doubtful(let place, let request):
            if !place.channel.carrier.isSuspect {
                self.state = .placed(place)
                self.pool.cancel(request)
            }
            return place.association.send(payload, endpoint)
        case .homeless(let request, var waiting):
            self.state = .ended
            if waiting.count >= Self.maximumWaiting { waiting.removeFirst() }
            // A copy: the payload is a small part of what the client's socket has read at once.
            waiting.append((ByteBuffer(buffer: payload), endpoint))
            self.state = .homeless(request, waiting: waiting)
        case .ended:
            break
        }
        return true
    }

    /// Ends it; the delegate hears nothing more.
    package func close() { self.end(.closed) }

    // MARK: Places

    private func doubt(_ place: Place) {
        guard self.pool.eventLoop.now >= self.doubtsAgainAt else { return }
        // Known before it is asked for: that may have an answer of its own.
        self.doubtsAgainAt = self.pool.eventLoop.now + Self.doubtPause
        self.state = .doubtful(place, self.pool.request(for: self))
    }

    /// An agent has taken it.
    func opened(_ association: TunnelAssociation, on channel: AgentChannel<QUICTunnel>, _ share: StreamShare?) {
        let place = Place(association: association, channel: channel, share: share)
        switch self.state {
        case .doubtful(let old, _) where !old.channel.carrier.isSuspect:
            self.state = .placed(old)
            self.leave(place)
        case .doubtful(let old, _):
            self.move(to: place)
            self.leave(old)
        case .homeless(_, let waiting):
            self.move(to: place)
            for datagram in waiting { _ = association.send(datagram.payload, datagram.endpoint) }
        case .placed, .ended:
            self.leave(place)
        }
    }

    private func move(to place: Place) {
        self.state = .placed(place)
        place.association.delegate = self
        self.pool.ledger.connected(
            self.flow, resolved: nil, agent: place.channel.agent.name, at: self.pool.eventLoop.now
        ) { [weak self] in
            FlowLedger.Look(
                traffic: self?.traffic ?? FlowTraffic(), path: self?.pool.channels.path(of: place.channel.carrier)?.name
            )
        }
        self.pool.logger.debug(
            self.isStarted ? "UDP association moved" : "UDP association opened",
            metadata: [
                "event": "flow.opened", "association": .stringConvertible(self.flow.rawValue),
                "agent": "\(place.channel.agent.name)",
            ])
        guard place.association.isOpen else { return self.lost(place, .closedByPeer) }
        guard !self.isStarted else { return }
        self.isStarted = true
        self.delegate?.associationStarted(self)
    }

    private func leave(_ place: Place) {
        place.association.close()
        place.share?.end()
        self.pool.channels.ended(on: place.channel.id, wasAnswered: true)
    }

    private func lost(_ place: Place, _ reason: TunnelAssociation.End) {
        place.share?.end()
        self.pool.channels.ended(on: place.channel.id, wasAnswered: true)
        switch reason {
        case .closedByPeer:
            self.end(.reset)
            self.delegate?.association(self, ended: .closedByAgent)
        case .tunnelClosed:
            if case .doubtful(_, let request) = self.state {
                self.state = .homeless(request, waiting: [])
            } else {
                self.state = .homeless(self.pool.request(for: self), waiting: [])
            }
        }
    }

    /// No agent takes it.
    func failed(_ failure: ConnectFailure, isOutdated: Bool) {
        switch self.state {
        case .doubtful(let place, _):
            self.state = .placed(place)
        case .homeless:
            self.end(FlowOutcome(failure.kind))
            self.delegate?.association(self, ended: isOutdated ? .unsupported : .failed(failure))
        case .placed, .ended:
            break
        }
    }

    private func end(_ outcome: FlowOutcome) {
        let state = self.state
        self.state = .ended
        switch state {
        case .homeless(let request, _): self.pool.cancel(request)
        case .placed(let place): if place.association.isOpen { self.leave(place) }
        case .doubtful(let place, let request):
            self.pool.cancel(request)
            if place.association.isOpen { self.leave(place) }
        case .ended: return
        }
        self.pool.ledger.end(
            self.flow, self.isStarted || outcome != .closed ? outcome : .cancelled, at: self.pool.eventLoop.now)
        self.pool.logger.debug(
            "UDP association closed",
            metadata: [
                "event": "flow.closed", "association": .stringConvertible(self.flow.rawValue),
                "sent": .stringConvertible(self.traffic.sent), "received": .stringConvertible(self.traffic.received),
            ])
    }
}

@available(*, unavailable)
extension PooledAssociation: Sendable {}

extension PooledAssociation: TunnelAssociationDelegate {
    package func association(
        _ association: TunnelAssociation, received payload: ByteBuffer, with endpoint: Endpoint
    ) {
        self.traffic.received += UInt64(payload.readableBytes)
        self.delegate?.association(self, received: payload, from: endpoint)
    }

    package func associationReceiveComplete(_ association: TunnelAssociation) {
        self.delegate?.associationReceiveComplete(self)
    }

    package func association(_ association: TunnelAssociation, ended: TunnelAssociation.End) {
        switch self.state {
        case .placed(let place) where place.association === association: self.lost(place, ended)
        case .doubtful(let place, _) where place.association === association: self.lost(place, ended)
        default: break
        }
    }
}
