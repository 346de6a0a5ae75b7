import NIOCore
package import NIOHTTP1
package import NIOWebSocket

extension WebSocketLink {
    /// The upgrader for a server's HTTP/1.1 pipeline (`configureHTTPServerPipeline(withServerUpgrade:)`). In that call's
    /// completion handler, take the application's own HTTP handlers out: what follows is no HTTP, and may follow at once.
    ///
    /// - Parameters:
    ///   - shouldUpgrade: whether a request may be upgraded, judged by its path. Others go on as plain HTTP.
    ///   - upgraded: called on the channel's event loop with each new link. Frames that came early wait in it until it
    ///     has a delegate.
    package static func serverUpgrader(
        shouldUpgrade: @escaping @Sendable (HTTPRequestHead) -> Bool,
        upgraded: @escaping @Sendable (WebSocketLink, HTTPRequestHead) -> Void
    ) -> NIOWebSocketServerUpgrader {
        NIOWebSocketServerUpgrader(
            maxFrameSize: SignalLinkLimits.maximumMessageSize, automaticErrorHandling: false,
            shouldUpgrade: { channel, head in
                channel.eventLoop.makeSucceededFuture(shouldUpgrade(head) ? HTTPHeaders() : nil)
            },
            upgradePipelineHandler: { channel, head in
                channel.eventLoop.makeCompletedFuture {
                    let link = WebSocketLink(side: .server, eventLoop: channel.eventLoop)
                    let pipeline = channel.pipeline.syncOperations
                    let limit = WebSocketStrangerLimit()
                    let decoder = try pipeline.handler(type: ByteToMessageHandler<WebSocketFrameDecoder>.self)
                    try pipeline.addHandler(limit, position: .before(decoder))
                    link.bind(limit)
                    try pipeline.addHandler(link)
                    upgraded(link, head)
                }
            })
    }
}
