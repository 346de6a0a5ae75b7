package import FlowLedger
package import NIOCore
package import Tunnel

/// A connection to a target for a door that speaks with it, instead of gluing a client to it. Its account is kept here.
/// Belongs to the event loop of the tunnel.
package final class TargetStream {
    private enum State {
        case open
        /// Our direction has ended; the target's end is waited for.
        case closing(timeout: Scheduled<Void>)
        /// A splice has taken over.
        case spliced(StreamSplice)
        case over
    }

    /// How long a target may take to close its side when we have closed ours.
    static let patience = TimeAmount.seconds(5)

    private let stream: any ReturnableStream
    private let eventLoop: any EventLoop
    private let makeSplice: (@escaping (StreamSplice.Summary) -> Void) -> StreamSplice
    private let ended: (FlowTraffic, FlowOutcome) -> Void
    private var state = State.open
    private weak var consumer: (any StreamConsumer)?
    private var passed = FlowTraffic()

    /// - Parameters:
    ///   - stream: nobody is attached to it yet.
    ///   - makeSplice: makes what glues a channel to the stream, and tells its argument of the end.
    ///   - ended: called once, when the stream is over or given up, with what has passed.
    package init(
        _ stream: any ReturnableStream, eventLoop: any EventLoop,
        makeSplice: @escaping (@escaping (StreamSplice.Summary) -> Void) -> StreamSplice,
        ended: @escaping (FlowTraffic, FlowOutcome) -> Void
    ) {
        self.stream = stream
        self.eventLoop = eventLoop
        self.makeSplice = makeSplice
        self.ended = ended
    }

    /// What has passed so far.
    package var traffic: FlowTraffic {
        var traffic = self.passed
        if case .spliced(let splice) = self.state {
            traffic += FlowTraffic(sent: splice.summary.bytesSent, received: splice.summary.bytesReceived)
        }
        return traffic
    }

    /// False while too much waits to be sent.
    package var isWritable: Bool { self.stream.isWritable }

    /// Queues bytes to be sent.
    package func write(_ bytes: ByteBuffer) {
        self.passed.sent += UInt64(bytes.readableBytes)
        self.stream.write(bytes)
    }

    /// Gives credit for bytes that were passed on.
    package func consume(_ bytes: Int) {
        if bytes > 0 { self.stream.consume(bytes) }
    }

    /// Delivers everything to `consumer` from now on, what has happened so far at once. Does not keep it.
    package func attach(_ consumer: any StreamConsumer) {
        self.consumer = consumer
        self.stream.attach(self)
    }

    /// Ends the connection in good order: what was written arrives. The consumer hears nothing more.
    package func close() {
        guard case .open = self.state else { return }
        self.consumer = nil
        self.stream.finish()
        self.state = .closing(
            timeout: self.eventLoop.assumeIsolated().scheduleTask(in: Self.patience) { self.abandon(.closed) })
    }

    /// Breaks the connection off. The consumer hears nothing more.
    package func reset() {
        guard case .open = self.state else { return }
        self.consumer = nil
        self.abandon(.reset)
    }

    /// Makes the last handler of a client's pipeline, which owns the connection from then on. `unread` has come from the
    /// target, and was not consumed.
    package func makeHandler(unread: ByteBuffer) -> any ChannelHandler {
        self.consumer = nil
        self.passed.received &-= UInt64(unread.readableBytes)
        self.stream.detach(unread: unread)
        let splice = self.makeSplice { summary in self.end(summary.wasReset ? .reset : .closed) }
        self.state = .spliced(splice)
        return splice
    }

    private func abandon(_ outcome: FlowOutcome) {
        self.stream.reset(.connectionReset)
        self.stream.stopSending(.connectionReset)
        self.end(outcome)
    }

    private func end(_ outcome: FlowOutcome) {
        if case .over = self.state { return }
        if case .closing(let timeout) = self.state { timeout.cancel() }
        self.passed = self.traffic
        self.state = .over
        self.ended(self.passed, outcome)
    }
}

@available(*, unavailable)
extension TargetStream: Sendable {}

extension TargetStream: StreamConsumer {
    package func streamReceived(_ bytes: ByteBuffer) {
        self.passed.received += UInt64(bytes.readableBytes)
        if let consumer = self.consumer {
            consumer.streamReceived(bytes)
        } else {
            self.stream.consume(bytes.readableBytes)
        }
    }

    package func streamFinished() {
        self.consumer?.streamFinished()
        // Both directions have ended.
        if case .closing = self.state { self.end(.closed) }
    }

    package func streamReset() {
        self.consumer?.streamReset()
        if case .closing = self.state { self.abandon(.closed) }
    }

    package func streamStopped() { self.consumer?.streamStopped() }
    package func streamBecameWritable() { self.consumer?.streamBecameWritable() }

    package func streamClosed() {
        let consumer = self.consumer
        self.consumer = nil
        if case .closing = self.state { self.end(.closed) } else { self.end(.reset) }
        consumer?.streamClosed()
    }
}
