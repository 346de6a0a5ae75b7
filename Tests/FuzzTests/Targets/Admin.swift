import Basics
import CommandSupport
import FlowLedger
import Logging
import NIOCore
import NIOEmbedded

@testable import Admin

/// What somebody says at `--admin`. The first byte says in what pieces it comes, and its lowest bit whether a token is demanded.
func fuzzAdminRequest(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let size = input.byte()
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    let token = size & 1 == 1 ? AdminToken(bytes: Array("a token of the fuzzer".utf8)) : nil
    let access = try AdminAccess(
        ListenPlace(admin: "127.0.0.1:9101"), addresses: [try SocketAddress(ipAddress: "127.0.0.1", port: 9101)],
        token: token)
    let eventLoop = channel.eventLoop
    let source = StatusSource(layout: StatusLayout(plot: "", facts: [], tables: [])) {
        eventLoop.makeSucceededFuture(EmptyStatus())
    } traffic: {
        eventLoop.makeSucceededFuture(Traffic())
    }
    let responder = AdminResponder(
        program: "rtun-fuzz", source: source, access: access, eventLoop: eventLoop,
        logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
    try AdminListener.configure(channel, responder)
    channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)

    for piece in input.pieces(of: size) where channel.isActive { _ = try? channel.writeInbound(piece) }
    channel.embeddedEventLoop.run()
    var answer = ByteBuffer()
    while var part = try channel.readOutbound(as: ByteBuffer.self) { answer.writeBuffer(&part) }
    let text = String(buffer: answer)
    try promise(token == nil || !text.hasPrefix("HTTP/1.1 2"), "an answer without the token: \(text)")
    try promise(
        text.split(separator: "HTTP/1.1 ", omittingEmptySubsequences: false).count <= 2, "several answers: \(text)")
    channel.embeddedEventLoop.advanceTime(by: .seconds(60))
    try promise(!channel.isActive, "somebody may stay")
}

private struct EmptyStatus: ProgramStatus {
    var readiness: Readiness { .ready }
    var traffic: FlowTraffic { FlowTraffic() }
    func members(_ rates: Rates) -> [JSON.Member] { [] }
    func addMetrics(to metrics: inout Metrics) {}
}
