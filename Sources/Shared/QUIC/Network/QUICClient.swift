package import NIOCore

/// Connects to a QUIC server over a UDP socket of its own.
package enum QUICClient {
    /// Succeeds when the handshake is complete, with a session that belongs to `eventLoop` (an event loop of
    /// NIOPosix); set its delegate in the callback. Fails with a `QUICError`, a `QUICCloseReason` or the socket's
    /// error. The socket is closed with the session.
    package static func connect(
        to address: SocketAddress, configuration: QUICConfiguration, eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<QUICClientConnection>> {
        do throws(QUICError) {
            let context = try QUICContext(role: .client, configuration: configuration)
            return self.connect(to: address, context: context, eventLoop: eventLoop)
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
    }

    /// As above with a context, which several connections can share.
    package static func connect(
        to address: SocketAddress, context: QUICContext, eventLoop: any EventLoop
    ) -> EventLoopFuture<NIOLoopBound<QUICClientConnection>> {
        let promise = eventLoop.makePromise(of: NIOLoopBound<QUICClientConnection>.self)
        eventLoop.execute {
            do {
                // It completes the promise in all other cases.
                _ = try QUICClientDriver(
                    context: context, remoteAddress: address, eventLoop: eventLoop, connected: promise)
            } catch {
                promise.fail(error)
            }
        }
        return promise.futureResult
    }
}

/// A client's session and the addresses of its socket.
package struct QUICClientConnection {
    package let session: QUICSession
    package let localAddress: SocketAddress?
    package let remoteAddress: SocketAddress
}

@available(*, unavailable)
extension QUICClientConnection: Sendable {}
