import AppProto
import NIOCore
import Signaling

/// One authenticated control connection. Passes on what arrives, and keeps its own name with it.
final class Session {
    /// Who is at the other end.
    struct Peer: Sendable {
        let role: Role
        /// `ip:port`.
        let address: String
        let software: String
        /// Unix time in milliseconds.
        let since: UInt64
    }

    let id: SessionID
    let peer: Peer
    let connection: SignalConnection
    /// The one that was proved on it.
    let secret: SecretID
    /// What that is a secret of.
    let role: Role
    private weak var service: SignalService?
    /// Requests that the broker has not answered yet, under numbers of our own.
    private var requests: [UInt64: SignalRequest] = [:]
    private var nextRequest: UInt64 = 0

    init(id: SessionID, peer: Peer, connection: SignalConnection, secret: SecretID, role: Role, service: SignalService)
    {
        self.id = id
        self.peer = peer
        self.secret = secret
        self.role = role
        self.connection = connection
        self.service = service
    }

    /// Answers a request that the service was told of.
    func respond(to id: UInt64, _ body: Envelope.Body) {
        self.requests.removeValue(forKey: id)?.respond(body)
    }
}

@available(*, unavailable)
extension Session: Sendable {}

extension Session: SignalConnectionDelegate {
    func connection(_ connection: SignalConnection, received request: SignalRequest) {
        let id = self.nextRequest
        self.nextRequest += 1
        self.requests[id] = request
        self.service?.received(request: request.body, id: id, from: self)
    }

    func connection(_ connection: SignalConnection, receivedEvent event: Envelope.Body) {
        if case .bridge(let bridge) = event {
            self.service?.received(bridge, from: self)
        } else {
            self.service?.received(event: event, from: self)
        }
    }

    func connectionBecameWritable(_ connection: SignalConnection) {
        self.service?.hasBridgeRoom(self)
    }

    func connectionClosed(_ connection: SignalConnection, reason: SignalCloseReason) {
        self.requests = [:]
        self.service?.ended(self, reason)
    }
}
