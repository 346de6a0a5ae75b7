import NIOCore
import TLS
import TestSupport
import Testing

@Suite struct DTLSConnectionTests {
    // MARK: Handshake

    @Test func `both ends complete the handshake in two round trips without a cookie`() throws {
        let pair = try DatagramPair.established()
        #expect(pair.clientLog.error == nil && pair.serverLog.error == nil)
        #expect(pair.client.cipherSuite == "ECDHE-ECDSA-AES128-GCM-SHA256")
        #expect(pair.server.cipherSuite == pair.client.cipherSuite)
        #expect(pair.client.nextDeadline == nil && pair.server.nextDeadline == nil)
        #expect(pair.sent.map(\.fromClient) == [true, false, true, false])
        #expect(pair.sent.allSatisfy { $0.datagram.readableBytes <= 1200 })
        #expect(pair.client.statistics.retransmittedFlights == 0 && pair.server.statistics.retransmittedFlights == 0)
    }

    @Test func `both ends export the same keying material`() throws {
        let pair = try DatagramPair()
        #expect(pair.client.exportKeyingMaterial(label: "EXPORTER-test", context: [1], length: 20) == nil)
        pair.handshake()
        let material = pair.client.exportKeyingMaterial(label: "EXPORTER-test", context: [1], length: 20)
        #expect(material?.count == 20)
        #expect(pair.server.exportKeyingMaterial(label: "EXPORTER-test", context: [1], length: 20) == material)
        #expect(pair.server.exportKeyingMaterial(label: "EXPORTER-test", context: [2], length: 20) != material)
    }

    @Test func `a server with another certificate is refused`() throws {
        let other = try Identity.selfSigned(commonName: "other").leafFingerprint
        let pair = try DatagramPair(clientExpects: other)
        pair.handshake()
        #expect(
            pair.clientLog.error?.rejection?.kind
                == .fingerprintMismatch(expected: other, received: DatagramPair.serverIdentity?.leafFingerprint))
        #expect(pair.serverLog.error == .alertReceived("bad certificate"))
        #expect(!pair.clientLog.isEstablished && !pair.serverLog.isEstablished)
    }

    @Test func `a client with another certificate is refused`() throws {
        let other = try Identity.selfSigned(commonName: "other").leafFingerprint
        let pair = try DatagramPair(serverExpects: other)
        pair.handshake()
        #expect(pair.serverLog.error?.rejection != nil)
        #expect(pair.clientLog.error == .alertReceived("bad certificate"))
    }

    @Test(arguments: 0..<12)
    func `the handshake survives loss, duplication and reordering`(seed: UInt64) throws {
        let pair = try DatagramPair(seed: seed, initialTimeout: .milliseconds(20))
        pair.impairment = .init(loss: 20, duplication: 25, reordering: 50)
        pair.handshake()
        #expect(pair.clientLog.error == nil && pair.serverLog.error == nil)
        #expect(pair.clientLog.isEstablished && pair.serverLog.isEstablished)

        pair.impairment = .init()
        try exchange(pair)
    }

    @Test func `a flight without an answer is sent again after the initial timeout, and then twice as late`() throws {
        let pair = try DatagramPair(initialTimeout: .milliseconds(100))
        var sent = NIODeadline.now()
        pair.client.start(at: sent)
        let hello = try #require(pair.client.nextTransmit())
        for round in 1...2 {
            let deadline = try #require(pair.client.nextDeadline)
            // What OpenSSL says is left, on a machine that may be busy with other tests.
            let wait = TimeAmount.milliseconds(100 * Int64(round))
            #expect(deadline - sent <= wait && deadline - sent > .milliseconds(wait.nanoseconds / 4_000_000))
            while pair.client.statistics.retransmittedFlights < round {
                sent = .now()
                pair.client.handleTimeout(at: sent)
            }
            // Never before its time, but for the 15 ms that OpenSSL takes for granted.
            #expect(NIODeadline.now() > deadline - .milliseconds(20))
            #expect(try #require(pair.client.nextTransmit()).readableBytes == hello.readableBytes)
        }
    }

    @Test func `the last flight is repeated for a client that missed it`() throws {
        let pair = try DatagramPair(initialTimeout: .milliseconds(100))
        pair.server.start(at: .now())
        pair.client.start(at: .now())
        pair.deliver(try #require(pair.client.nextTransmit()), toServer: true)
        pair.deliver(try #require(pair.server.nextTransmit()), toServer: false)
        pair.deliver(try #require(pair.client.nextTransmit()), toServer: true)
        #expect(pair.serverLog.isEstablished && !pair.clientLog.isEstablished)
        _ = try #require(pair.server.nextTransmit())
        // Payloads may overtake it: OpenSSL keeps them until they can be read.
        let early = [UInt8](repeating: 7, count: 1400)
        pair.deliver(try pair.server.seal(ByteBuffer(bytes: early)), toServer: false)
        // So may forged ones.
        pair.deliver(
            ByteBuffer(bytes: [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 40] + [UInt8](repeating: 1, count: 40)),
            toServer: false)
        pair.handshake()
        #expect(pair.clientLog.isEstablished)
        #expect(pair.clientLog.payloads == [early])
        try exchange(pair)
    }

    @Test func `garbage and cut or damaged hellos never harm a server`() throws {
        let pair = try DatagramPair()
        pair.client.start(at: .now())
        let hello = try #require(pair.client.nextTransmit())
        var random = SeededGenerator(3)
        let fingerprint = try #require(DatagramPair.clientIdentity).leafFingerprint
        let identity = try #require(DatagramPair.serverIdentity)
        for round in 0..<400 {
            let server = try DTLSConnection(
                DTLSConfiguration(role: .server, identity: identity, peerFingerprint: fingerprint))
            server.start(at: .now())
            var datagram = hello
            switch round % 4 {
            case 0: datagram.moveWriterIndex(to: Int.random(in: 0..<hello.readableBytes, using: &random))
            case 1: datagram = ByteBuffer(bytes: random.bytes(Int.random(in: 0..<1500, using: &random)))
            default:
                let index = Int.random(in: 0..<hello.readableBytes, using: &random)
                datagram.setInteger(UInt8.random(in: 0...255, using: &random), at: index)
            }
            server.receive(datagram, at: .now())
            #expect(!server.isEstablished)
        }
    }

    // MARK: Payloads

    @Test func `the overhead is exact, and records fill the datagram exactly`() throws {
        let pair = try DatagramPair.established()
        // 13 bytes of header, 8 of explicit nonce, 16 of tag: 1409 for a frame's content, as the design says.
        #expect(pair.client.recordOverhead == 37)
        #expect(pair.client.maximumPayload == 1415)
        for length in [1, 64, 1200, 1415] {
            let datagram = try pair.client.seal(ByteBuffer(repeating: 7, count: length))
            #expect(datagram.readableBytes == length + pair.client.recordOverhead)
        }
        #expect(throws: TLSError.payloadTooLarge(byteCount: 1416, limit: 1415)) {
            try pair.client.seal(ByteBuffer(repeating: 7, count: 1416))
        }
        pair.client.maximumDatagramSize = 1280
        #expect(pair.client.maximumPayload == 1280 - 37 && pair.client.recordOverhead == 37)
        #expect(throws: TLSError.self) { try pair.client.seal(ByteBuffer(repeating: 7, count: 1244)) }
        pair.client.maximumDatagramSize = 1452
        #expect(pair.client.maximumPayload == 1415)
    }

    @Test func `a small path carries the handshake, too`() throws {
        let pair = try DatagramPair.established(maximumDatagramSize: 548)
        #expect(pair.sent.map(\.datagram.readableBytes).filter { $0 > 548 } == [])
        #expect(pair.client.maximumPayload == 548 - 37)
        try exchange(pair)
    }

    @Test func `records are appended to one buffer, and several in a datagram are read one by one`() throws {
        let pair = try DatagramPair.established()
        var buffer = ByteBuffer(string: "before")
        for text in ["one", "two", "three"] {
            try Array(text.utf8).withUnsafeBytes { try pair.client.seal($0, into: &buffer) }
        }
        #expect(buffer.readString(length: 6) == "before")
        #expect(buffer.readableBytes == 3 * 37 + 11)
        pair.deliver(buffer, toServer: true)
        #expect(pair.serverLog.payloads == ["one", "two", "three"].map { Array($0.utf8) })
        #expect(pair.server.statistics.rejectedDatagrams == 0)
    }

    @Test func `reordered payloads are delivered as they come, lost ones are not waited for`() throws {
        let pair = try DatagramPair.established()
        let datagrams = try (0..<60).map { try pair.client.seal(ByteBuffer(bytes: [UInt8($0)])) }
        var random = SeededGenerator(5)
        let order = (0..<60).filter { $0 % 7 != 0 }.shuffled(using: &random)
        for index in order { pair.deliver(datagrams[index], toServer: true) }
        #expect(pair.serverLog.payloads == order.map { [UInt8($0)] })
        #expect(pair.server.statistics.rejectedDatagrams == 0)
    }

    @Test func `a replayed record is dropped and counted, also an old one`() throws {
        let pair = try DatagramPair.established()
        let datagrams = try (0..<200).map { try pair.client.seal(ByteBuffer(bytes: [UInt8($0)])) }
        for datagram in datagrams.dropFirst() { pair.deliver(datagram, toServer: true) }
        #expect(pair.serverLog.payloads.count == 199)
        for datagram in datagrams { pair.deliver(datagram, toServer: true) }
        // The first was never delivered, but is far behind the window by now.
        #expect(pair.serverLog.payloads.count == 199)
        #expect(pair.server.statistics.rejectedDatagrams == 200)
        try exchange(pair)
    }

    @Test func `a record cut or damaged anywhere is dropped and counted`() throws {
        let pair = try DatagramPair.established()
        let genuine = try pair.client.seal(ByteBuffer(string: "the payload"))
        var rejected: UInt64 = 0
        for index in 0..<genuine.readableBytes {
            for bit in 0..<8 {
                var damaged = genuine
                let byte = try #require(damaged.getInteger(at: index, as: UInt8.self))
                damaged.setInteger(byte ^ (1 << bit), at: index)
                pair.deliver(damaged, toServer: true)
                rejected += 1
            }
            pair.deliver(try #require(genuine.getSlice(at: 0, length: index)), toServer: true)
            rejected += 1
        }
        #expect(pair.serverLog.payloads.isEmpty && pair.serverLog.error == nil && !pair.serverLog.isClosed)
        #expect(pair.server.statistics.rejectedDatagrams == rejected)
        #expect(pair.server.nextTransmit() == nil)
        // The genuine one is none the worse for it.
        pair.deliver(genuine, toServer: true)
        #expect(pair.serverLog.payloads == [Array("the payload".utf8)])
        try exchange(pair)
    }

    @Test func `forged records of every type and epoch change nothing but a counter`() throws {
        let pair = try DatagramPair.established()
        var random = SeededGenerator(11)
        var rejected: UInt64 = 0
        for type in UInt8(18)...66 {
            for epoch in UInt16(0)...3 {
                for length in [0, 1, 2, 40, 1400] {
                    var datagram = ByteBuffer(bytes: [type, 0xfe, 0xfd])
                    datagram.writeInteger(epoch)
                    datagram.writeBytes([0, 0, 0, 0, 3, UInt8(length & 0xff)])
                    datagram.writeInteger(UInt16(length))
                    datagram.writeBytes(random.bytes(length))
                    pair.deliver(datagram, toServer: true)
                    rejected += 1
                }
            }
        }
        for _ in 0..<500 {
            pair.deliver(
                ByteBuffer(bytes: random.bytes(Int.random(in: 0..<1600, using: &random))), toServer: true)
            rejected += 1
        }
        // A fatal alert in the clear, such as anybody can send: handshake_failure.
        pair.deliver(ByteBuffer(bytes: [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]), toServer: true)
        rejected += 1
        #expect(pair.serverLog.payloads.isEmpty && pair.serverLog.error == nil && !pair.serverLog.isClosed)
        #expect(pair.server.statistics.rejectedDatagrams == rejected)
        #expect(pair.server.nextTransmit() == nil)
        try exchange(pair)
    }

    /// OpenSSL ends the connection over the short record, and looks for records where others are said to be.
    @Test(arguments: [
        "14fe00000000000000000001",  // Of version 5.1.
        "feff00000000000000000001",
        "fefd0000000000000000ffff",  // Too long, also for a datagram.
        "fefd00000000000000004fff",
    ])
    func `a record that is too short is found anywhere in a datagram`(header: String) throws {
        let pair = try DatagramPair.established()
        // The header says that the short one is its contents, or part of them.
        let stunted: [UInt8] = [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 5, 0, 1, 0]
        let hiding = [23] + hexBytes(header)
        for padding in 0..<40 {
            pair.deliver(
                ByteBuffer(bytes: hiding + stunted + [UInt8](repeating: 0, count: padding)), toServer: true)
        }
        #expect(pair.serverLog.payloads.isEmpty && pair.serverLog.error == nil && !pair.serverLog.isClosed)
        #expect(pair.server.statistics.rejectedDatagrams == 40)
        #expect(pair.server.nextTransmit() == nil)
        try exchange(pair)
    }

    @Test func `the whole handshake played again changes nothing`() throws {
        let pair = try DatagramPair.established()
        for (fromClient, datagram) in pair.sent { pair.deliver(datagram, toServer: fromClient) }
        #expect(pair.client.nextTransmit() == nil && pair.server.nextTransmit() == nil)
        #expect(pair.client.statistics.rejectedDatagrams == 2)
        #expect(pair.server.statistics.rejectedDatagrams == 2)
        try exchange(pair)
    }

    @Test func `records of another connection are dropped`() throws {
        let pair = try DatagramPair.established()
        let other = try DatagramPair.established()
        pair.deliver(try other.client.seal(ByteBuffer(string: "not yours")), toServer: true)
        #expect(pair.serverLog.payloads.isEmpty)
        #expect(pair.server.statistics.rejectedDatagrams == 1)
        // Nor is what one sent accepted when it comes back.
        pair.deliver(try pair.server.seal(ByteBuffer(string: "mine")), toServer: true)
        #expect(pair.serverLog.payloads.isEmpty)
        try exchange(pair)
    }

    // MARK: The end

    @Test func `close_notify ends the connection at both ends`() throws {
        let pair = try DatagramPair.established()
        pair.client.close()
        pair.client.close()
        pair.run()
        #expect(pair.serverLog.isClosed && pair.serverLog.error == nil && !pair.clientLog.isClosed)
        #expect(!pair.client.isEstablished && !pair.server.isEstablished)
        #expect(throws: TLSError.closed) { try pair.client.seal(ByteBuffer(string: "x")) }
        #expect(throws: TLSError.closed) { try pair.server.seal(ByteBuffer(string: "x")) }
        let rejected = pair.server.statistics.rejectedDatagrams
        pair.deliver(ByteBuffer(repeating: 23, count: 100), toServer: true)
        #expect(pair.server.statistics.rejectedDatagrams == rejected + 1)
    }

    @Test func `closing before or during the handshake is not an error`() throws {
        let pair = try DatagramPair()
        pair.server.close()
        pair.client.start(at: .now())
        pair.client.close()
        #expect(pair.client.nextDeadline == nil)
        pair.client.start(at: .now())
        pair.client.handleTimeout(at: .distantFuture)
        pair.run()
        #expect(!pair.clientLog.isEstablished && pair.clientLog.error == nil && pair.serverLog.error == nil)
    }

    @Test func `connections come and go many times`() throws {
        for round in 0..<60 {
            let pair = try DatagramPair(seed: UInt64(round))
            switch round % 3 {
            case 0: pair.client.start(at: .now())
            case 1: pair.handshake()
            default:
                pair.handshake()
                try exchange(pair)
                pair.server.close()
                pair.run()
                #expect(pair.clientLog.isClosed)
            }
        }
    }

    /// One payload each way.
    private func exchange(_ pair: DatagramPair) throws {
        pair.clientLog.payloads = []
        pair.serverLog.payloads = []
        pair.deliver(try pair.client.seal(ByteBuffer(string: "ping")), toServer: true)
        pair.deliver(try pair.server.seal(ByteBuffer(string: "pong")), toServer: false)
        #expect(pair.serverLog.payloads == [Array("ping".utf8)])
        #expect(pair.clientLog.payloads == [Array("pong".utf8)])
    }
}
