import Crypto
import NIOCore
import TLS
import Testing

@testable import QUIC

@Suite struct StreamTests {
    /// A stream of the client with a recorder.
    private func open(_ network: VirtualNetwork) throws -> (QUICStream, StreamRecorder) {
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        return (stream, recorder)
    }

    @Test func `bytes come back from an echo, and both sides end`() throws {
        let network = try VirtualNetwork.connected()
        network.serverEvents.onStream = { _ in Echo() }
        let (stream, recorder) = try self.open(network)
        stream.write(ByteBuffer(string: "hello "))
        stream.write(ByteBuffer(string: "world"))
        stream.finish()
        try network.run { recorder.isClosed }
        #expect(recorder.received == Array("hello world".utf8))
        #expect(recorder.isFinished)
        #expect(recorder.closeReason == nil)
        #expect(stream.delegate == nil)
    }

    @Test(arguments: [0.0, 0.03]) func `a large transfer arrives unharmed`(loss: Double) throws {
        let network = try VirtualNetwork.connected()
        network.delay = .milliseconds(2)
        network.faults = .init(loss: loss, duplication: loss, reordering: loss)
        let (stream, _) = try self.open(network)
        let total = loss > 0 ? 5_000_000 : 50_000_000
        let pump = Pump(total: total)
        stream.delegate = pump
        pump.start(stream)
        try network.run(for: .seconds(600)) { network.serverEvents.recorders.first?.isFinished == true }
        let received = network.serverEvents.recorders[0].received
        #expect(received.count == total)
        let piece = Pump.bytes(16 << 10)
        var expected: [UInt8] = []
        expected.reserveCapacity(total + piece.count)
        while expected.count < total { expected += piece }
        expected.removeLast(expected.count - total)
        #expect(SHA256.hash(received) == SHA256.hash(expected))
        #expect(network.largestDatagram <= 1452)
        #expect(network.largestDatagram > 1400, "path MTU discovery found \(network.largestDatagram)")
        #expect(network.largestBatch > 10)
    }

    @Test func `the delegate is told when the peer allows more streams`() throws {
        var server = QUICConfiguration.pinnedServer
        server.maxConcurrentStreams = 2
        let network = try VirtualNetwork.connected(server: server)
        network.serverEvents.onStream = { _ in Echo() }
        let (first, _) = try self.open(network)
        _ = try self.open(network)
        #expect(throws: QUICError.streamLimitReached) { try network.client.openStream() }
        #expect(network.client.availableStreams == 0)
        let before = network.clientEvents.streamsBecameAvailable
        first.write(ByteBuffer(string: "x"))
        first.finish()
        try network.run { network.clientEvents.streamsBecameAvailable > before }
        #expect(network.client.availableStreams == 1)
        _ = try self.open(network)
    }

    @Test func `each direction ends by itself`() throws {
        let network = try VirtualNetwork.connected()
        let (stream, recorder) = try self.open(network)
        stream.write(ByteBuffer(string: "request"))
        stream.finish()
        try network.run { network.serverEvents.recorders.first?.isFinished == true }
        let answering = network.serverEvents.streams[0]
        #expect(!recorder.isFinished)
        answering.write(ByteBuffer(repeating: 7, count: 300_000))
        answering.finish()
        try network.run { recorder.isClosed && network.serverEvents.recorders[0].isClosed }
        #expect(recorder.receivedBytes == 300_000)
        #expect(recorder.isFinished)
    }

    @Test func `the server can finish first and still receive`() throws {
        let network = try VirtualNetwork.connected()
        let (stream, recorder) = try self.open(network)
        stream.write(ByteBuffer(string: "a"))
        try network.run { !network.serverEvents.streams.isEmpty }
        network.serverEvents.streams[0].finish()
        try network.run { recorder.isFinished }
        stream.write(ByteBuffer(string: "b"))
        stream.finish()
        try network.run { network.serverEvents.recorders[0].isClosed }
        #expect(network.serverEvents.recorders[0].received == Array("ab".utf8))
    }

    @Test func `a reset reaches the peer with its code, both ways`() throws {
        let network = try VirtualNetwork.connected()
        let (stream, recorder) = try self.open(network)
        stream.write(ByteBuffer(string: "x"))
        try network.run { !network.serverEvents.streams.isEmpty }
        stream.reset(code: 17)
        try network.run { network.serverEvents.recorders[0].resetCode != nil }
        #expect(network.serverEvents.recorders[0].resetCode == 17)
        network.serverEvents.streams[0].reset(code: 1 << 61)
        try network.run { recorder.resetCode != nil && recorder.isClosed && network.serverEvents.recorders[0].isClosed }
        #expect(recorder.resetCode == 1 << 61)
        #expect(!recorder.isFinished)
    }

    @Test func `a stop reaches the peer with its code although it has nothing to send, both ways`() throws {
        let network = try VirtualNetwork.connected()
        let (stream, recorder) = try self.open(network)
        stream.write(ByteBuffer(string: "x"))
        try network.run { !network.serverEvents.streams.isEmpty }
        stream.stopSending(code: 23)
        try network.run { network.serverEvents.recorders[0].stopCode != nil }
        #expect(network.serverEvents.recorders[0].stopCode == 23)
        network.serverEvents.streams[0].stopSending(code: 42)
        try network.run { recorder.stopCode != nil && recorder.isClosed }
        #expect(recorder.stopCode == 42)
    }

    @Test func `a stop ends a sender in full flow`() throws {
        let network = try VirtualNetwork.connected()
        let (stream, _) = try self.open(network)
        let pump = Pump(total: 1 << 30)
        stream.delegate = pump
        pump.start(stream)
        try network.run { (network.serverEvents.recorders.first?.receivedBytes ?? 0) > 1_000_000 }
        let received = network.serverEvents.recorders[0].receivedBytes
        network.serverEvents.streams[0].stopSending(code: 9)
        network.serverEvents.streams[0].reset(code: 9)
        try network.run { network.serverEvents.recorders[0].isClosed && stream.delegate == nil }
        #expect(network.serverEvents.recorders[0].receivedBytes == received)
        #expect(stream.unsentBytes == 0)
    }

    @Test func `writing after the end is ignored`() throws {
        let network = try VirtualNetwork.connected()
        let (stream, recorder) = try self.open(network)
        stream.write(ByteBuffer(string: "all"))
        stream.finish()
        stream.write(ByteBuffer(string: "more"))
        stream.finish()
        try network.run { network.serverEvents.recorders.first?.isFinished == true }
        network.serverEvents.streams[0].reset(code: 1)
        network.serverEvents.streams[0].reset(code: 2)
        try network.run { recorder.isClosed }
        stream.write(ByteBuffer(string: "late"))
        stream.reset(code: 3)
        stream.stopSending(code: 3)
        stream.consume(100)
        #expect(network.serverEvents.recorders[0].received == Array("all".utf8))
        #expect(recorder.resetCode == 1)
    }

    @Test func `a thousand streams one after the other, eight at once`() throws {
        var server = QUICConfiguration.pinnedServer
        server.maxConcurrentStreams = 8
        let network = try VirtualNetwork.connected(server: server)
        network.serverEvents.onStream = { _ in Echo() }
        var done = 0
        while done < 1000 {
            var batch: [StreamRecorder] = []
            for _ in 0..<8 {
                let (stream, recorder) = try self.open(network)
                stream.write(ByteBuffer(integer: UInt64(done)))
                stream.finish()
                batch.append(recorder)
            }
            #expect(throws: QUICError.streamLimitReached) { try network.client.openStream() }
            try network.run { batch.allSatisfy(\.isClosed) && network.client.availableStreams == 8 }
            #expect(batch.allSatisfy { $0.receivedBytes == 8 })
            done += 8
        }
    }

    @Test func `no stream can be opened before the handshake or after the end`() throws {
        let network = try VirtualNetwork()
        #expect(throws: QUICError.handshakeIncomplete) { try network.client.openStream() }
        try network.run { network.clientEvents.isConnected }
        network.client.close(code: 4, reason: "enough")
        #expect(throws: QUICError.closed(.local(code: 4, reason: "enough"))) { try network.client.openStream() }
    }

    @Test func `a delegate may open, write and close from inside its calls`() throws {
        let network = try VirtualNetwork.connected()
        final class Meddler: QUICStreamDelegate {
            let session: QUICSession
            init(_ session: QUICSession) { self.session = session }
            func stream(_ stream: QUICStream, received bytes: ByteBuffer) {
                stream.consume(bytes.readableBytes)
                stream.write(bytes)
                (try? self.session.openStream())?.write(ByteBuffer(string: "unasked"))
                stream.reset(code: 1)
                stream.stopSending(code: 1)
                self.session.close(code: 77, reason: "from inside")
                stream.write(bytes)
            }
            func streamFinished(_ stream: QUICStream) {}
            func stream(_ stream: QUICStream, resetWith code: UInt64) {}
            func stream(_ stream: QUICStream, stoppedWith code: UInt64) {}
            func streamClosed(_ stream: QUICStream, reason: QUICCloseReason?) {}
        }
        network.serverEvents.onStream = { _ in Meddler(network.server) }
        let (stream, recorder) = try self.open(network)
        stream.write(ByteBuffer(string: "go"))
        try network.run { network.clientEvents.closeReason != nil }
        #expect(network.clientEvents.closeReason == .peer(code: 77, reason: "from inside"))
        #expect(recorder.isClosed)
    }

    @Test func `datagrams arrive whole, and not when they are too large`() throws {
        var client = QUICConfiguration.pinnedClient
        client.datagrams = true
        var server = QUICConfiguration.pinnedServer
        server.datagrams = true
        let network = try VirtualNetwork.connected(client: client, server: server)
        #expect(network.client.maxDatagramPayload > 1000)
        #expect(network.client.sendDatagram(ByteBuffer(string: "one")))
        #expect(network.client.sendDatagram(ByteBuffer(repeating: 1, count: network.client.maxDatagramPayload)))
        #expect(!network.client.sendDatagram(ByteBuffer(repeating: 1, count: 2000)))
        try network.run { network.serverEvents.datagrams.count == 2 }
        #expect(network.serverEvents.datagrams[0] == ByteBuffer(string: "one"))
    }

    @Test func `an endless flow of datagrams keeps neither a request nor a transfer waiting`() throws {
        var client = QUICConfiguration.pinnedClient
        client.datagrams = true
        var server = QUICConfiguration.pinnedServer
        server.datagrams = true
        let network = try VirtualNetwork.connected(client: client, server: server)
        // Congestion control keeps the backlog of datagrams, and the queue is never empty.
        let payload = ByteBuffer(repeating: 1, count: 1100)
        let refill = { while network.client.hasDatagramRoom, network.client.sendDatagram(payload) {} }
        network.clientEvents.onDatagramsWritable = refill
        refill()
        try network.run { network.serverEvents.datagrams.count > 100 }
        let (transfer, _) = try self.open(network)
        transfer.write(ByteBuffer(repeating: 2, count: 200_000))
        try network.run(for: .seconds(2)) { network.serverEvents.recorders.first?.receivedBytes == 200_000 }
        let (request, _) = try self.open(network)
        request.write(ByteBuffer(string: "please"))
        try network.run(for: .milliseconds(100)) { network.serverEvents.recorders.last?.receivedBytes == 6 }
        #expect(network.clientEvents.datagramsBecameWritable > 3)
    }

    @Test func `the number of waiting datagrams is limited, and the delegate is told when there is room`() throws {
        var client = QUICConfiguration.pinnedClient
        client.datagrams = true
        var server = QUICConfiguration.pinnedServer
        server.datagrams = true
        let network = try VirtualNetwork.connected(client: client, server: server)
        var count = 0
        while network.client.hasDatagramRoom {
            #expect(network.client.sendDatagram(ByteBuffer(repeating: 1, count: 1000)))
            count += 1
        }
        #expect(count == 33)
        #expect(network.clientEvents.datagramsBecameWritable == 0)
        try network.run { network.serverEvents.datagrams.count == count }
        #expect(network.client.hasDatagramRoom)
        #expect(network.clientEvents.datagramsBecameWritable == 1)
    }

    @Test(arguments: [false, true])
    func `a path that carries less costs the datagrams that wait, and no others`(withStream: Bool) throws {
        var client = QUICConfiguration.pinnedClient
        client.datagrams = true
        client.discoversPathMTU = false
        var server = QUICConfiguration.pinnedServer
        server.datagrams = true
        let network = try VirtualNetwork.connected(client: client, server: server)
        network.client.maximumDatagramSize = 1452
        network.client.isPathWritable = false
        for _ in 0..<3 {
            #expect(network.client.sendDatagram(ByteBuffer(repeating: 1, count: network.client.maxDatagramPayload)))
        }
        network.client.maximumDatagramSize = 1200
        #expect(!network.client.sendDatagram(ByteBuffer(repeating: 1, count: 1300)))
        #expect(network.client.sendDatagram(ByteBuffer(string: "small")))
        if withStream { try self.open(network).0.write(ByteBuffer(repeating: 2, count: 20_000)) }
        network.client.isPathWritable = true
        try network.run(for: .seconds(1)) { network.serverEvents.datagrams == [ByteBuffer(string: "small")] }
        #expect(network.client.unfitDatagrams == 3)
        guard withStream else { return }
        try network.run(for: .seconds(1)) { network.serverEvents.recorders.first?.receivedBytes == 20_000 }
    }

    @Test func `datagrams get through a lossy network, those that are not lost`() throws {
        var client = QUICConfiguration.pinnedClient
        client.datagrams = true
        var server = QUICConfiguration.pinnedServer
        server.datagrams = true
        let network = try VirtualNetwork.connected(client: client, server: server)
        network.faults.loss = 0.2
        network.faults.duplication = 0.1
        network.faults.reordering = 0.1
        for number in 0..<200 {
            #expect(network.client.sendDatagram(ByteBuffer(integer: UInt16(number))))
            network.run(for: .milliseconds(20))
        }
        network.run(for: .seconds(2))
        let arrived = network.serverEvents.datagrams.compactMap { $0.getInteger(at: 0, as: UInt16.self) }
        #expect((130...190).contains(arrived.count), "each is sent once: \(arrived.count) of 200 came")
        #expect(Set(arrived).count == arrived.count, "a datagram came twice")
    }

    @Test func `datagrams are refused by a peer that accepts none`() throws {
        let network = try VirtualNetwork.connected()
        #expect(!network.client.sendDatagram(ByteBuffer(string: "one")))
    }

    @Test func `what is written while the path accepts nothing goes out as soon as it does`() throws {
        let network = try VirtualNetwork.connected()
        network.run(for: .milliseconds(200))
        let stream = try network.client.openStream()
        network.faults.isCut = true
        // With the very last packet of all that there is to send the kernel's buffer is full.
        network.onTransmit = { network.client.isPathWritable = false }
        stream.write(ByteBuffer(string: "one"))
        network.loop.run()
        network.onTransmit = nil
        stream.write(ByteBuffer(string: "two"))
        network.loop.run()
        let before = network.datagramCount
        network.client.isPathWritable = true
        network.run(for: .milliseconds(1))
        #expect(network.datagramCount == before + 1)
        #expect(stream.unsentBytes == 0)
    }

    /// The loop was late: something has come in and is answered before the timer runs that is due as well.
    @Test func `a timer that is due is not used up by an answer`() throws {
        let network = try VirtualNetwork.connected()
        let stream = try network.client.openStream()
        stream.write(ByteBuffer(string: "one"))
        try network.run { network.serverEvents.streams.first != nil }
        network.run(for: .milliseconds(200))
        let client = try #require(network.client.connection)
        let server = try #require(network.server.connection)
        network.faults.isCut = true
        stream.write(ByteBuffer(string: "two"))
        network.loop.run()
        network.serverEvents.streams[0].write(ByteBuffer(string: "three"))
        let late = network.loop.now + .seconds(1)
        #expect(try #require(client.nextDeadline) < late)
        let datagram = try #require(server.nextTransmit(at: late)).payload
        client.receive(datagram, segmentSize: nil, at: late)
        while client.nextTransmit(at: late) != nil {}
        let inFlight = client.statistics.bytes_in_flight
        client.handleTimeout(at: late)
        #expect(client.nextTransmit(at: late) != nil)
        #expect(client.statistics.bytes_in_flight > inFlight, "a probe (RFC 9002 §6.2.4)")
    }
}

/// RESET_STREAM overtakes data that is under way: how a stream is abandoned without losing what was sent before.
@Suite struct OrderedResetTests {
    @Test(arguments: [0.0, 0.1, 0.3]) func `a reset after delivery lets everything arrive first`(loss: Double) throws {
        for seed in 0..<10 as Range<UInt64> {
            let network = try VirtualNetwork.connected(seed: seed)
            network.faults = .init(loss: loss, duplication: loss, reordering: loss)
            let stream = try network.client.openStream()
            let recorder = StreamRecorder()
            stream.delegate = recorder
            let bytes = Pump.bytes(200_000)
            stream.write(ByteBuffer(bytes: bytes))
            stream.resetAfterDelivery(code: 7)
            // What comes later is not sent, and no end follows.
            stream.write(ByteBuffer(string: "late"))
            stream.finish()
            try network.run(for: .seconds(120)) { network.serverEvents.recorders.first?.resetCode != nil }
            #expect(network.serverEvents.recorders[0].received == bytes)
            #expect(network.serverEvents.recorders[0].resetCode == 7)
            #expect(!network.serverEvents.recorders[0].isFinished)
            network.serverEvents.streams[0].finish()
            try network.run(for: .seconds(60)) { recorder.isClosed }
        }
    }

    @Test func `a reset after delivery of what has been delivered goes out at once`() throws {
        let network = try VirtualNetwork.connected()
        let stream = try network.client.openStream()
        stream.write(ByteBuffer(string: "all"))
        try network.run { stream.undeliveredBytes == 0 }
        stream.resetAfterDelivery(code: 3)
        try network.run { network.serverEvents.recorders.first?.resetCode == 3 }
        #expect(network.serverEvents.recorders[0].received == Array("all".utf8))
    }

    @Test func `a receiver that consumes nothing puts the reset off, and a reset at once ends the wait`() throws {
        let network = try VirtualNetwork.connected()
        let silent = StreamRecorder()
        silent.consumes = false
        network.serverEvents.onStream = { _ in silent }
        let stream = try network.client.openStream()
        stream.write(ByteBuffer(repeating: 1, count: 8 << 20))
        stream.resetAfterDelivery(code: 3)
        for _ in 0..<20 { network.run(for: .seconds(1)) }
        #expect(silent.resetCode == nil && stream.undeliveredBytes > 0)
        stream.reset(code: 4)
        try network.run { silent.resetCode == 4 }
    }

    @Test func `a peer that stops the stream ends a wait for delivery`() throws {
        let network = try VirtualNetwork.connected()
        let silent = StreamRecorder()
        silent.consumes = false
        var accepted: QUICStream?
        network.serverEvents.onStream = {
            accepted = $0
            return silent
        }
        let stream = try network.client.openStream()
        let recorder = StreamRecorder()
        stream.delegate = recorder
        stream.write(ByteBuffer(repeating: 1, count: 8 << 20))
        stream.resetAfterDelivery(code: 3)
        try network.run { silent.receivedBytes > 0 }
        accepted?.stopSending(code: 5)
        try network.run { recorder.stopCode == 5 }
    }
}
