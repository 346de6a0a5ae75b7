import AppProto
import NIOCore
import NIOPosix
import Signaling
import Synchronization
import TestSupport
import Testing

@testable import ClientSupport

@Suite struct SignalFanoutTests {
    /// What each listener has heard.
    private final class Record: Sendable {
        private let heard = Mutex<[String: [String]]>([:])
        func note(_ name: String, _ words: String) { self.heard.withLock { $0[name, default: []].append(words) } }
        var all: [String: [String]] { self.heard.withLock { $0 } }
    }

    private final class Listener: SignalListener {
        let eventLoop: any EventLoop
        private let name: String
        private let record: Record

        init(_ name: String, on eventLoop: any EventLoop, _ record: Record) {
            self.name = name
            self.eventLoop = eventLoop
            self.record = record
        }

        private func note(_ words: String) {
            self.eventLoop.preconditionInEventLoop()
            self.record.note(self.name, words)
        }

        func signalConnected(_ session: SignalSession) { self.note("connected") }
        func signalLost() { self.note("lost") }
        func signalReceived(event: Envelope.Body) {
            if case .closePeer(let close) = event { self.note(close.reason) }
        }
    }

    @Test func `every listener hears everything in order on its own event loop`() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let loops = [group.next(), group.next()]
        let record = Record()
        var listeners: [NIOLoopBound<any SignalListener>] = []
        for (index, name) in ["a", "b", "c", "d"].enumerated() {
            let eventLoop = loops[index % 2]
            listeners.append(
                try await eventLoop.submit {
                    NIOLoopBound(Listener(name, on: eventLoop, record) as any SignalListener, eventLoop: eventLoop)
                }.get())
        }
        let all = listeners
        try await loops[0].submit {
            let fanout = SignalFanout(all)
            for index in 0..<20 {
                fanout.signalReceived(event: .closePeer(ClosePeer(peerID: .random(), reason: "\(index)")))
            }
            fanout.signalLost()
        }.get()
        let expected = (0..<20).map { "\($0)" } + ["lost"]
        try await eventually(within: .seconds(10), "all four have heard everything") {
            record.all == ["a": expected, "b": expected, "c": expected, "d": expected]
        }
        try await group.shutdownGracefully()
    }
}
