import Basics
import FlowLedger
import HTTPProxy
import Logging
import NIOCore
import Tunnel
import TunnelClient

extension HTTPConnectionHandler {
    func connect(to target: Target, isTunnel: Bool) {
        let origin = FlowOrigin(.http, client: self.client, login: self.machine.user)
        let id = self.connector.connect(to: target, for: origin) { [weak self] result in
            guard let self, case .connecting = self.target else {
                if case .connected(let connection) = result { connection.abandon() }
                return
            }
            switch result {
            case .connected(let connection): self.connected(connection, isTunnel: isTunnel)
            case .failed(let failure): self.failed(failure, target)
            }
        }
        self.target = .connecting(id)
    }

    private func connected(_ connection: TargetConnection, isTunnel: Bool) {
        if isTunnel {
            self.target = .connected(connection)
            return self.change { $0.targetConnected() }
        }
        let stream = connection.makeStream()
        self.target = .stream(stream)
        self.change { $0.targetConnected() }
        // The request may have made us drop it again.
        if case .stream(let current) = self.target, current === stream { stream.attach(self) }
    }

    private func failed(_ failure: ConnectFailure, _ target: Target) {
        self.target = .none
        self.logger.debug(
            "no connection to the target",
            metadata: [
                "event": "flow.failed", "client": "\(self.client)", "target": "\(target)", "outcome": "\(failure.kind)",
                "reason": "\(failure.reason)",
            ])
        self.change { $0.targetFailed(HTTPFailure(failure, target: target)) }
    }

    func dropTarget(_ drop: (TargetStream) -> Void) {
        guard case .stream(let stream) = self.target else { return }
        self.target = .none
        // What the client has not taken yet is in the channel, and no business of the stream's any more.
        stream.consume(self.owedCredit)
        self.owedCredit = 0
        drop(stream)
    }

    /// Glues client and target together: the answer is written; what came early follows, and the client's end if it has closed
    /// already.
    func handOver() {
        // Whatever is owned is given up with the context.
        guard let context = self.context, context.channel.isActive else { return self.leave() }
        let unread = self.machine.takeOutput()
        let handler: any ChannelHandler
        switch self.target {
        case .connected(let connection):
            handler = connection.makeHandler()
        case .stream(let stream):
            stream.consume(self.owedCredit - unread.readableBytes)
            self.owedCredit = 0
            handler = stream.makeHandler(unread: unread)
        case .none, .connecting:
            return context.close(promise: nil)
        }
        self.target = .none
        let early = self.machine.takeInput()
        let isInputClosed = self.isInputClosed
        self.leave()
        context.flush()
        do {
            try context.pipeline.syncOperations.addHandler(handler, position: .after(self))
        } catch {
            return context.close(promise: nil)
        }
        if early.readableBytes > 0 {
            context.fireChannelRead(self.wrapInboundOut(early))
            context.fireChannelReadComplete()
        }
        if isInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        let channel = context.channel
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        if channel.isActive { try? channel.syncOptions?.setOption(.autoRead, value: true) }
    }
}

extension HTTPConnectionHandler: StreamConsumer {
    func streamReceived(_ bytes: ByteBuffer) {
        self.owedCredit += bytes.readableBytes
        self.change { $0.targetReceived(bytes) }
    }

    func streamFinished() { self.change { $0.targetEnded() } }
    func streamReset() { self.change { $0.targetBroke() } }
    func streamStopped() { self.change { $0.targetStopped() } }
    func streamBecameWritable() { self.readOn() }
    func streamClosed() { self.change { $0.targetBroke() } }
}

extension HTTPFailure {
    /// What the client is told of a target that cannot be had.
    init(_ failure: ConnectFailure, target: Target) {
        let status: HTTPStatus =
            switch failure.kind {
            case .policy: .forbidden
            case .share: .serviceUnavailable
            case .timedOut, .noAgent: .gatewayTimeout
            case .refused, .hostUnreachable, .networkUnreachable, .nameNotFound, .limit, .failed: .badGateway
            }
        self.init(status, "\(target): \(failure.reason)")
    }
}
