import NIOCore
import NIOEmbedded
import TLS

@testable import QUIC

/// Datagrams from anywhere to a QUIC server: headers, versions, tokens, and packets of nobody. Flags of a datagram:
/// 0x01 filled up to 1200 bytes, 0x02 from another address.
func fuzzQUICHeader(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    // From the second handshake on clients have to prove their address.
    var limits = QUICServerHandler.Limits()
    limits.retryAbove = 1
    let handler = try QUICServerHandler(configuration: QUICIdentities.server.get(), limits: limits) { _, _ in }
    try channel.pipeline.syncOperations.addHandler(handler)
    channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 443), promise: nil)
    let sources = [
        try SocketAddress(ipAddress: "192.0.2.2", port: 1), try SocketAddress(ipAddress: "2001:db8::1", port: 1),
    ]
    var received = 0
    var count = 0
    while let (flags, payload) = input.datagram() {
        var datagram = payload
        if flags & 1 != 0 { datagram.writeRepeatingByte(0, count: max(0, 1200 - datagram.readableBytes)) }
        received += datagram.readableBytes
        count += 1
        try channel.writeInbound(
            AddressedEnvelope(remoteAddress: sources[flags & 2 == 0 ? 0 : 1], data: datagram))
    }
    channel.embeddedEventLoop.advanceTime(by: .seconds(2))
    var sent = 0
    while let answer = try channel.readOutbound(as: AddressedEnvelope<ByteBuffer>.self) {
        sent += answer.data.readableBytes
    }
    // RFC 9000 §8.1.
    try promise(sent <= 3 * received, "\(received) bytes are answered with \(sent)")
    try promise(handler.sessionCount <= count, "more sessions than datagrams")
}

/// Certificates made once: making one takes a while.
enum QUICIdentities {
    static let server = Result {
        var configuration = QUICConfiguration(
            applicationProtocol: "fuzz", identity: try Identity.selfSigned(commonName: "server"),
            verification: .notRequested)
        configuration.datagrams = true
        configuration.maxConcurrentStreams = 8
        configuration.initialStreamWindow = 4 << 10
        configuration.maxStreamWindow = 16 << 10
        configuration.maxUnconsumedBytes = 64 << 10
        configuration.allowsMigration = true
        configuration.discoversPathMTU = false
        return configuration
    }
    static let client = Result {
        var configuration = try Self.server.get()
        configuration.identity = nil
        configuration.verification = .insecure
        return configuration
    }
    static let serverContext = Result { try QUICContext(role: .server, configuration: Self.server.get()) }
    static let clientContext = Result { try QUICContext(role: .client, configuration: Self.client.get()) }
}
