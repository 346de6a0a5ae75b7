import Basics
import Foundation
import NIOCore
import TLS
import TestSupport
import Testing

/// Two DTLS connections with a network between them that loses, duplicates and reorders as told.
final class DatagramPair {
    struct Log {
        var isEstablished = false
        var payloads: [[UInt8]] = []
        var isClosed = false
        var error: TLSError?
    }

    /// What happens to a datagram, in percent.
    struct Impairment {
        var loss = 0
        var duplication = 0
        var reordering = 0
    }

    let client: DTLSConnection
    let server: DTLSConnection
    var clientLog = Log()
    var serverLog = Log()
    var impairment = Impairment()
    /// Everything that either end has sent, as it was sent.
    private(set) var sent: [(fromClient: Bool, datagram: ByteBuffer)] = []
    private var random: SeededGenerator
    private var inFlight: [(toServer: Bool, datagram: ByteBuffer)] = []

    static let clientIdentity = try? Identity.selfSigned(commonName: "dtls client")
    static let serverIdentity = try? Identity.selfSigned(commonName: "dtls server")

    init(
        clientExpects: CertificateFingerprint? = nil, serverExpects: CertificateFingerprint? = nil,
        maximumDatagramSize: Int = 1452, seed: UInt64 = 1, initialTimeout: TimeAmount = .seconds(5)
    ) throws {
        let clientIdentity = try #require(Self.clientIdentity)
        let serverIdentity = try #require(Self.serverIdentity)
        self.client = try DTLSConnection(
            DTLSConfiguration(
                role: .client, identity: clientIdentity,
                peerFingerprint: clientExpects ?? serverIdentity.leafFingerprint,
                maximumDatagramSize: maximumDatagramSize, initialTimeout: initialTimeout))
        self.server = try DTLSConnection(
            DTLSConfiguration(
                role: .server, identity: serverIdentity,
                peerFingerprint: serverExpects ?? clientIdentity.leafFingerprint,
                maximumDatagramSize: maximumDatagramSize, initialTimeout: initialTimeout))
        self.random = SeededGenerator(seed)
    }

    /// An established pair on a perfect network.
    static func established(maximumDatagramSize: Int = 1452) throws -> DatagramPair {
        let pair = try DatagramPair(maximumDatagramSize: maximumDatagramSize)
        pair.handshake()
        try #require(pair.clientLog.isEstablished && pair.serverLog.isEstablished)
        return pair
    }

    var isSettled: Bool {
        func isSettled(_ log: Log) -> Bool { log.isEstablished || log.error != nil }
        return isSettled(self.clientLog) && isSettled(self.serverLog)
    }

    /// Runs the handshake to its end on both sides, for 10 s at most. OpenSSL looks at the real clock, so waiting for a
    /// retransmission is real waiting.
    func handshake() {
        self.server.start(at: .now())
        self.client.start(at: .now())
        let end = NIODeadline.now() + .seconds(10)
        while NIODeadline.now() < end {
            self.run()
            if self.isSettled { return }
            guard let next = [self.client.nextDeadline, self.server.nextDeadline].compactMap(\.self).min() else {
                return
            }
            let wait = next - .now()
            if wait.nanoseconds > 0 { Thread.sleep(forTimeInterval: Double(wait.nanoseconds) / 1e9) }
            self.client.handleTimeout(at: .now())
            self.server.handleTimeout(at: .now())
        }
    }

    /// Moves datagrams until none is in flight.
    func run() {
        self.collect()
        while !self.inFlight.isEmpty {
            let next = self.inFlight.removeFirst()
            self.deliver(next.datagram, toServer: next.toServer)
            self.collect()
        }
    }

    /// Hands a datagram to one end, as the network would.
    func deliver(_ datagram: ByteBuffer, toServer: Bool) {
        if toServer {
            self.server.receive(datagram, at: .now())
            Self.drain(self.server, into: &self.serverLog)
        } else {
            self.client.receive(datagram, at: .now())
            Self.drain(self.client, into: &self.clientLog)
        }
    }

    private func collect() {
        Self.drain(self.client, into: &self.clientLog)
        Self.drain(self.server, into: &self.serverLog)
        while let datagram = self.client.nextTransmit() { self.send(datagram, fromClient: true) }
        while let datagram = self.server.nextTransmit() { self.send(datagram, fromClient: false) }
    }

    private func send(_ datagram: ByteBuffer, fromClient: Bool) {
        self.sent.append((fromClient, datagram))
        if self.happens(self.impairment.loss) { return }
        let copies = self.happens(self.impairment.duplication) ? 2 : 1
        for _ in 0..<copies {
            let isEarly = self.happens(self.impairment.reordering)
            self.inFlight.insert((fromClient, datagram), at: isEarly ? 0 : self.inFlight.count)
        }
    }

    private func happens(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &self.random) < percent
    }

    private static func drain(_ connection: DTLSConnection, into log: inout Log) {
        var buffer = ByteBuffer()
        while let length = connection.readPayload(into: &buffer) {
            log.payloads.append(buffer.readBytes(length: length) ?? [])
        }
        while let event = connection.nextEvent() {
            switch event {
            case .handshakeCompleted: log.isEstablished = true
            case .closed: log.isClosed = true
            case .failed(let error): log.error = error
            }
        }
    }
}
