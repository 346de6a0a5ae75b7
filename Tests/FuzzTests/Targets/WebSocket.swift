import NIOCore
import NIOEmbedded
import NIOWebSocket

@testable import Signaling

/// The frames of a WebSocket. The first byte says which end gets them, the second in what pieces they come.
func fuzzWebSocket(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let side: WebSocketLink.Side = input.byte() & 1 == 0 ? .server : .client
    let size = input.byte()
    let whole = try readWebSocket(input.pieces(of: 0), side)
    try promise(try readWebSocket(input.pieces(of: size), side) == whole, "it depends on the pieces that they come in")
    try promise(
        whole.messages.reduce(0) { $0 + $1.readableBytes } <= bytes.count, "more comes out than went in")
    // A pong for a ping, and the farewell.
    try promise(whole.answered <= 4 * bytes.count + 64, "\(bytes.count) bytes are answered with \(whole.answered)")
}

private struct WebSocketReading: Equatable {
    var messages: [ByteBuffer] = []
    /// How many bytes: a client's masks differ.
    var answered = 0
    var end: String?
}

private final class WebSocketRecorder: SignalLinkDelegate {
    var reading = WebSocketReading()

    func link(_ link: any SignalLink, received message: ByteBuffer) { self.reading.messages.append(message) }
    func linkClosed(_ link: any SignalLink, error: (any Error)?) {
        self.reading.end = error.map { "\($0)" } ?? "in order"
    }
}

private func readWebSocket(_ pieces: [ByteBuffer], _ side: WebSocketLink.Side) throws -> WebSocketReading {
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    let link = WebSocketLink(side: side, eventLoop: channel.eventLoop)
    let recorder = WebSocketRecorder()
    link.delegate = recorder
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandler(WebSocketFrameEncoder())
    try pipeline.addHandler(
        ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: SignalLinkLimits.maximumMessageSize)))
    try pipeline.addHandler(link)
    channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
    for piece in pieces where channel.isActive {
        // Errors end up in the link.
        _ = try? channel.writeInbound(piece)
    }
    while let bytes = try channel.readOutbound(as: ByteBuffer.self) { recorder.reading.answered += bytes.readableBytes }
    return recorder.reading
}
