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
    private let listeners: [NIOLoopBound<any SignalListener>]

    package init(_ listeners: [NIOLoopBound<any SignalListener>]) {
        self.listeners = listeners
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
        for listener in self.listeners {
            if listener.eventLoop.inEventLoop {
                body(listener.value)
            } else {
                listener.eventLoop.execute { body(listener.value) }
            }
        }
    }
}

@available(*, unavailable)
extension SignalFanout: Sendable {}
