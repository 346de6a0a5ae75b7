import Basics
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOWebSocket

@testable import Signaling
@testable import rtun_server

/// What a stranger says to the server's TCP port, perhaps through a proxy: HTTP, the upgrade to a WebSocket, and the
/// handshake behind it. The first byte says in what pieces it comes.
func fuzzHTTPRequest(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let size = input.byte()
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
    let limits = ServerLimits()
    let service = SignalService(
        eventLoop: channel.eventLoop, secrets: AcceptedSecrets(SharedKey(derived: Array(repeating: 7, count: 32))),
        ownKey: tokenKey, software: "fuzz", limits: limits, bridge: nil, logger: logger)
    let strangers = Strangers(limit: limits.strangers)
    let listener = TCPListener(
        eventLoop: channel.eventLoop, service: service, limits: limits, strangers: strangers,
        trustedProxies: TrustedProxies([try AddressBlock(parsing: "192.0.2.0/24")]), tlsContext: nil, logger: logger)
    try listener.configure(channel)
    channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)

    for piece in input.pieces(of: size) where channel.isActive {
        _ = try? channel.writeInbound(piece)
    }
    var answered = 0
    while let answer = try channel.readOutbound(as: ByteBuffer.self) { answered += answer.readableBytes }
    try promise(answered <= 4 * bytes.count + 1024, "\(bytes.count) bytes are answered with \(answered)")
    try promise(service.sessionCount == 0, "a session without the secret")
    channel.embeddedEventLoop.advanceTime(by: .seconds(90))
    try promise(!channel.isActive, "a stranger may stay")
    try promise(listener.connectionCount == 0 && strangers.count == 0, "a connection is not forgotten")
}

/// What a server, or whoever answers in its place, says to the request for a WebSocket. The first byte says in what
/// pieces it comes; `{accept}` in it becomes what the request asks for.
func fuzzHTTPResponse(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let size = input.byte()
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    let url = try ServerURL(parsing: "http://192.0.2.1:8080")
    let connector = WebSocketConnector(
        url: url, path: "/sub/ws", software: "fuzz", tlsContext: nil, certificateName: "")
    var answers = 0
    var link: (any SignalLink)?
    channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 8080), promise: nil)
    connector.upgrade(channel) { result in
        answers += 1
        if case .failure(let error) = result { _ = "\(error) \(error.advice ?? "")" }
        link = try? result.get()
    }
    guard let request = try channel.readOutbound(as: ByteBuffer.self) else {
        throw BrokenPromise(description: "no request")
    }
    let accept = try acceptValue(for: String(buffer: request))
    // Bytes, since they need not be text.
    let answer = Array(input.rest.readableBytesView)
    var filled = ByteBuffer()
    if let hole = answer.indices.first(where: { answer[$0...].starts(with: Array("{accept}".utf8)) }) {
        filled.writeBytes(answer[..<hole])
        filled.writeString(accept)
        filled.writeBytes(answer[(hole + 8)...])
    } else {
        filled.writeBytes(answer)
    }
    filled.withUnsafeReadableBytes { bytes in
        for piece in FuzzInput(bytes).pieces(of: size) where channel.isActive { _ = try? channel.writeInbound(piece) }
    }
    channel.embeddedEventLoop.advanceTime(by: .seconds(60))
    try promise(answers == 1, "the attempt ends \(answers) times")
    link?.close()
}

/// RFC 6455 §4.2.2: what proves that the other end has understood the request.
private func acceptValue(for request: String) throws -> String {
    let field = "Sec-WebSocket-Key: "
    let key = request.split(separator: "\r\n").first { $0.hasPrefix(field) }?.dropFirst(field.count) ?? ""
    let headers: HTTPHeaders = ["Sec-WebSocket-Key": String(key), "Sec-WebSocket-Version": "13"]
    let upgrader = NIOWebSocketServerUpgrader(
        shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
        upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish() }
    let response = try upgrader.buildUpgradeResponse(
        channel: channel,
        upgradeRequest: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: headers),
        initialResponseHeaders: [:]
    ).wait()
    return response.first(name: "Sec-WebSocket-Accept") ?? ""
}
