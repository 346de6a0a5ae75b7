import NIOCore
import NIOEmbedded
import Testing

@testable import QUIC

/// A server handler on an embedded channel, and clients at addresses of their own.
final class VirtualServer {
    final class Client {
        let address: SocketAddress
        let events = SessionRecorder()
        fileprivate(set) var session: QUICSession?
        fileprivate var outbox: [ByteBuffer] = []

        init(address: SocketAddress) { self.address = address }
    }

    let channel: EmbeddedChannel
    private(set) var handler: QUICServerHandler
    private var table = QUICConnectionTable()
    private(set) var accepted: [(session: QUICSession, events: SessionRecorder, remote: SocketAddress)] = []
    /// Datagrams that the handler sent, the number of them.
    private(set) var sent = 0
    /// What was sent to addresses that are no client's.
    private(set) var strays: [ByteBuffer] = []
    private var clients: [Client] = []
    private let collector = Collector()

    private final class Collector {
        weak var server: VirtualServer?
    }

    init(
        configuration: QUICConfiguration = .pinnedServer, limits: QUICServerHandler.Limits = .init()
    ) throws {
        self.channel = EmbeddedChannel()
        self.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        self.handler = try Self.makeHandler(configuration, limits, self.table, self.collector)
        try self.channel.pipeline.syncOperations.addHandler(self.handler)
        self.channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 443), promise: nil)
        self.collector.server = self
    }

    private static func makeHandler(
        _ configuration: QUICConfiguration, _ limits: QUICServerHandler.Limits, _ table: QUICConnectionTable,
        _ collector: Collector
    ) throws -> QUICServerHandler {
        try QUICServerHandler(configuration: configuration, limits: limits, table: table) { session, remote in
            let events = SessionRecorder()
            events.onStream = { _ in Echo() }
            session.delegate = events
            collector.server?.accepted.append((session, events, remote))
        }
    }

    func address(_ number: Int) throws -> SocketAddress {
        try SocketAddress(ipAddress: "198.51.100.\(number)", port: 1000 + number)
    }

    func connect(_ number: Int, configuration: QUICConfiguration = .pinnedClient) throws -> Client {
        let client = Client(address: try self.address(number))
        client.session = try QUICSession.client(configuration: configuration, eventLoop: self.channel.eventLoop) {
            [unowned client] transmit in
            var rest = transmit.payload
            let step = transmit.segmentSize ?? rest.readableBytes
            while let datagram = rest.readSlice(length: min(step, rest.readableBytes)), datagram.readableBytes > 0 {
                client.outbox.append(datagram)
            }
        }
        client.session?.delegate = client.events
        self.clients.append(client)
        return client
    }

    /// What a client has sent and nobody carried yet.
    func takeOutbox(of client: Client) -> [ByteBuffer] {
        defer { client.outbox.removeAll() }
        return client.outbox
    }

    /// Gives the handler one datagram from an address.
    func inject(_ datagram: ByteBuffer, from address: SocketAddress) throws {
        try self.channel.writeInbound(AddressedEnvelope(remoteAddress: address, data: datagram))
    }

    /// Another socket of the server, such as that of the other address family.
    func anotherSocket(_ configuration: QUICConfiguration = .pinnedServer) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(loop: self.channel.embeddedEventLoop)
        let handler = try Self.makeHandler(configuration, .init(), self.table, self.collector)
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.connect(to: try SocketAddress(ipAddress: "2001:db8::1", port: 443), promise: nil)
        return channel
    }

    /// Forgets all connections, as a restart does.
    func restart(configuration: QUICConfiguration) throws {
        try self.channel.pipeline.syncOperations.removeHandler(self.handler).wait()
        // What the old one says goodbye with gets lost.
        while try self.channel.readOutbound(as: AddressedEnvelope<ByteBuffer>.self) != nil {}
        self.table = QUICConnectionTable()
        self.handler = try Self.makeHandler(configuration, .init(), self.table, self.collector)
        try self.channel.pipeline.syncOperations.addHandler(self.handler)
    }

    func run(for limit: TimeAmount = .seconds(60), until condition: () -> Bool) throws {
        let end = self.channel.eventLoop.now + limit
        while true {
            self.channel.embeddedEventLoop.run()
            try self.exchange()
            if condition() { return }
            try #require(self.channel.eventLoop.now < end, "the condition did not hold within \(limit)")
            self.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        }
    }

    func run(for time: TimeAmount) throws {
        let end = self.channel.eventLoop.now + time
        try self.run(for: time + .seconds(1)) { self.channel.eventLoop.now >= end }
    }

    private func exchange() throws {
        for client in self.clients {
            let datagrams = client.outbox
            client.outbox.removeAll()
            for datagram in datagrams { try self.inject(datagram, from: client.address) }
        }
        var touched: [QUICSession] = []
        while let envelope = try self.channel.readOutbound(as: AddressedEnvelope<ByteBuffer>.self) {
            self.sent += 1
            guard let session = self.clients.first(where: { $0.address == envelope.remoteAddress })?.session else {
                self.strays.append(envelope.data)
                continue
            }
            session.receive(envelope.data, segmentSize: envelope.metadata?.segmentSize)
            touched.append(session)
        }
        for session in touched { session.receiveComplete() }
    }
}
