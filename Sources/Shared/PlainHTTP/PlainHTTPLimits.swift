package import NIOCore
package import NIOHTTP1

/// What a connection for HTTP may take.
package struct PlainHTTPLimits: Sendable {
    /// From its start to a whole request (TLS handshake included).
    package var requestTime: TimeAmount
    /// From there until the other side has read the response.
    package var responseTime: TimeAmount
    /// All header fields of a request, in bytes.
    package var headerBytes: Int

    package init(requestTime: TimeAmount, responseTime: TimeAmount, headerBytes: Int = 16 * 1024) {
        self.requestTime = requestTime
        self.responseTime = responseTime
        self.headerBytes = headerBytes
    }

    /// The same for NIO's decoder.
    package var decoder: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = self.headerBytes
        limits.maxHeaderListSize = self.headerBytes
        limits.maxHeaderFieldCount = 64
        return limits
    }
}
