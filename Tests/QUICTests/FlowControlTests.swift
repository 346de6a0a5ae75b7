import NIOCore
import Testing

@testable import QUIC

@Suite struct FlowControlTests {
    @Test func `a reader that stops neither stalls its neighbour nor fills memory`() throws {
        let network = try VirtualNetwork.connected()
        let slow = try network.client.openStream()
        let slowPump = Pump(total: 100 << 20)
        slow.delegate = slowPump
        slowPump.start(slow)
        try network.run { network.serverEvents.recorders.count == 1 }
        network.serverEvents.recorders[0].consumes = false
        network.run(for: .seconds(2))
        let stalledAt = network.serverEvents.recorders[0].receivedBytes
        #expect(stalledAt <= 512 << 10)
        #expect(!slow.isWritable)
        #expect(slow.unsentBytes <= (256 << 10) + (16 << 10))

        let fast = try network.client.openStream()
        let fastPump = Pump(total: 20 << 20)
        fast.delegate = fastPump
        fastPump.start(fast)
        try network.run { network.serverEvents.recorders.count == 2 && network.serverEvents.recorders[1].isFinished }
        #expect(network.serverEvents.recorders[1].receivedBytes == 20 << 20)
        #expect(network.serverEvents.recorders[0].receivedBytes == stalledAt)

        // It goes on when the reader does.
        network.serverEvents.recorders[0].consumes = true
        network.serverEvents.streams[0].consume(stalledAt)
        try network.run(for: .seconds(300)) { network.serverEvents.recorders[0].isFinished }
        #expect(network.serverEvents.recorders[0].receivedBytes == 100 << 20)
    }

    @Test func `all streams together hold no more than the connection's limit`() throws {
        var server = QUICConfiguration.pinnedServer
        server.maxUnconsumedBytes = 2 << 20
        server.maxStreamWindow = 1 << 20
        let network = try VirtualNetwork.connected(server: server)
        var kept: [(QUICStream, StreamRecorder)] = []
        network.serverEvents.onStream = { stream in
            let recorder = StreamRecorder()
            recorder.consumes = false
            kept.append((stream, recorder))
            return recorder
        }
        var pumps: [Pump] = []
        for _ in 0..<32 {
            let stream = try network.client.openStream()
            let pump = Pump(total: 1 << 20)
            stream.delegate = pump
            pump.start(stream)
            pumps.append(pump)
        }
        network.run(for: .seconds(5))
        let held = kept.reduce(0) { $0 + $1.1.receivedBytes }
        #expect(held <= 2 << 20)
        #expect(held > 1 << 20)

        // Streams that are dropped without being read give their credit back.
        for (stream, _) in kept { stream.stopSending(code: 1) }
        kept.removeAll()
        let late = try network.client.openStream()
        network.serverEvents.onStream = nil
        late.write(ByteBuffer(repeating: 1, count: 1 << 20))
        late.finish()
        try network.run { network.serverEvents.recorders.last?.isFinished == true }
    }

    @Test func `bytes of a finished stream count until they are consumed`() throws {
        var server = QUICConfiguration.pinnedServer
        server.maxUnconsumedBytes = 1 << 20
        server.maxStreamWindow = 512 << 10
        let network = try VirtualNetwork.connected(server: server)
        var kept: [QUICStream] = []
        network.serverEvents.onStream = { stream in
            let recorder = StreamRecorder()
            recorder.consumes = false
            kept.append(stream)
            stream.finish()
            return recorder
        }
        for _ in 0..<20 {
            let stream = try network.client.openStream()
            stream.write(ByteBuffer(repeating: 2, count: 200_000))
            stream.finish()
        }
        network.run(for: .seconds(5))
        #expect(kept.reduce(0) { $0 + $1.unconsumed } <= 1 << 20)
        while true {
            let waiting = kept.filter { $0.unconsumed > 0 }
            guard !waiting.isEmpty || kept.count < 20 else { break }
            for stream in waiting { stream.consume(stream.unconsumed) }
            network.run(for: .milliseconds(200))
        }
        #expect(kept.count == 20)
    }

    @Test func `a window grows for a reader that keeps up`() throws {
        let network = try VirtualNetwork(delay: .milliseconds(50))
        try network.run { network.clientEvents.isConnected && network.serverEvents.isConnected }
        let stream = try network.client.openStream()
        let pump = Pump(total: 40 << 20)
        stream.delegate = pump
        pump.start(stream)
        let start = network.loop.now
        try network.run(for: .seconds(300)) { network.serverEvents.recorders.first?.isFinished == true }
        let seconds = Double((network.loop.now - start).nanoseconds) / 1e9
        // 256 KiB each 100 ms would take 16 s.
        #expect(seconds < 8, "took \(seconds) s")
    }

    @Test func `writers are told when there is room again`() throws {
        let network = try VirtualNetwork.connected()
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        stream.write(ByteBuffer(repeating: 1, count: 200 << 10))
        #expect(stream.isWritable)
        stream.write(ByteBuffer(repeating: 1, count: 200 << 10))
        #expect(!stream.isWritable)
        try network.run { recorder.becameWritable == 1 }
        #expect(stream.isWritable)
        #expect(stream.unsentBytes < 64 << 10)
    }

    @Test func `nothing is sent while the path accepts nothing`() throws {
        let network = try VirtualNetwork.connected()
        network.run(for: .seconds(1))
        network.client.isPathWritable = false
        let stream = try network.client.openStream()
        stream.write(ByteBuffer(string: "x"))
        network.run(for: .milliseconds(300))
        #expect(network.serverEvents.streams.isEmpty)
        network.client.isPathWritable = true
        try network.run { !network.serverEvents.streams.isEmpty }
    }

    @Test func `a stream's window doubles when half of it is used up within four round trips`() {
        var window = StreamWindow(initial: 100, limit: 300)
        func consume(_ count: Int, at milliseconds: Int64) -> Int {
            window.consumed(count, at: .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000)) { .milliseconds(10) }
        }
        // The first time there is nothing to compare with.
        #expect(consume(51, at: 1000) == 51)
        #expect(consume(50, at: 1001) == 50)
        #expect(consume(1, at: 1039) == 101)
        #expect(window.size == 200)
        // Too slow to need more.
        #expect(consume(101, at: 1079) == 101)
        // Up to the limit, and no further.
        #expect(consume(101, at: 1080) == 201)
        #expect(window.size == 300)
        #expect(consume(151, at: 1081) == 151)
        #expect(window.size == 300)
    }

    @Test func `credit is held back above the threshold and returned on consumption`() {
        var credit = ReceiveCredit(limit: 100)
        #expect(credit.window == 50)
        #expect(credit.received(50) == 50)
        #expect(credit.received(30) == 0)
        #expect(credit.consumed(10) == 10)
        #expect(credit.unconsumed == 70)
        #expect(credit.consumed(30) == 20)
        #expect(credit.consumed(40) == 0)
        #expect(credit.received(10) == 10)
    }
}
