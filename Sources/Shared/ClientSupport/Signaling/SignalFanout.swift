package import AppProto
package import NIOCore
package import Signaling

/// Hears of the control connection, on an event loop of its own choice.
package protocol SignalListener: AnyObject {
    /// Where it wants to be called.
    var eventLoop: any EventLoop { get }
    /// As in `SignalClientDelegate`.
    func signalConnected(_ session: SignalSession)
    func signalLost()
    func signalReceived(event: Envelope.Body)
}

/// Tells several listeners, each on its own event loop, what happens on the control connection. Belongs to that
/// connection's event loop; what it tells one listener keeps its order.
package final class SignalFanout: SignalClientDelegate {
    /// Those of one event loop hear of a thing in one turn of it: bridged datagrams are many, and so may listeners be.
    private struct Group {
        let eventLoop: any EventLoop
        var listeners: [NIOLoopBound<any SignalListener>]
    }

    private let groups: [Group]

    package init(_ listeners: [NIOLoopBound<any SignalListener>]) {
        self.groups = listeners.reduce(into: []) { groups, listener in
            if let index = groups.firstIndex(where: { $0.eventLoop === listener.eventLoop }) {
                groups[index].listeners.append(listener)
            } else {
                groups.append(Group(eventLoop: listener.eventLoop, listeners: [listener]))
            }
        }
    }

    package func signalConnected(_ session: SignalSession) {
        self.tell { $0.signalConnected(session) }
    }

    package func signalLost() {
        self.tell { $0.signalLost() }
    }

    package func signalReceived(event: Envelope.Body) {
        self.tell { $0.signalReceived(event: event) }
    }

    /// The server asks clients nothing in this version.
    package func signalReceived(_ request: SignalRequest) {
        request.failUnsupported()
    }

    private func tell(_ body: @escaping @Sendable (any SignalListener) -> Void) {
        for group in self.groups {
            let listeners = group.listeners
            if group.eventLoop.inEventLoop {
                for listener in listeners { body(listener.value) }
            } else {
                group.eventLoop.execute {
                    for listener in listeners { body(listener.value) }
                }
            }
        }
    }
}

@available(*, unavailable)
extension SignalFanout: Sendable {}
