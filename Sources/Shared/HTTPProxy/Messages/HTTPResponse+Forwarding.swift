import NIOCore

/// What a response says to the client about its connection (RFC 9112 §9.3).
enum HTTPClientConnection {
    /// It stays, as is usual in HTTP/1.1.
    case stays
    /// It stays, which HTTP/1.0 has to be told; `Proxy-Connection` is answered in kind.
    case staysInOldVersion(isProxyConnection: Bool)
    case closes
    /// The client's protocol changes (RFC 9110 §7.8).
    case upgrades
}

extension HTTPResponse {
    /// The head for the client, without what is for this hop only.
    ///
    /// - Parameters:
    ///   - isChunked: whether the content follows in chunks.
    ///   - connection: nil for a response that another one follows.
    func forwarded(
        isChunked: Bool, connection: HTTPClientConnection?, announcement: HTTPAnnouncement?
    ) -> ByteBuffer {
        var head = ByteBuffer()
        head.writeString("HTTP/1.1 \(self.status) ")
        head.writeBytes(self.reason)
        head.writeStaticString("\r\n")
        let hopByHop = HTTPHopByHop(self.fields)
        for field in self.fields.lines where !hopByHop.contains(field) && !self.isLeftOut(field, isChunked: isChunked) {
            head.writeField(field)
        }
        if isChunked { head.writeStaticString("Transfer-Encoding: chunked\r\n") }
        if announcement != nil {
            let via = self.version == .http1_1 ? HTTPAnnouncement.via : HTTPAnnouncement.oldVia
            head.writeField("Via", via.utf8)
        }
        self.write(connection, to: &head)
        head.writeStaticString("\r\n")
        return head
    }

    /// A length where there must be none (RFC 9110 §8.6), what only chunks bring, and what a proxy alone may ask for: a client
    /// would take it for this one.
    private func isLeftOut(_ field: HTTPField, isChunked: Bool) -> Bool {
        field.isNamed("content-length") && (self.isInformational || self.status == 204)
            || field.isNamed("trailer") && !isChunked
            || field.isNamed("proxy-authenticate") || field.isNamed("proxy-authentication-info")
    }

    private func write(_ connection: HTTPClientConnection?, to head: inout ByteBuffer) {
        // 426 says what to upgrade to (RFC 9110 §15.5.22).
        let upgrades = self.status == 426 ? self.fields.values("upgrade") : []
        for protocols in upgrades { head.writeField("Upgrade", protocols) }
        switch connection {
        case .stays, nil:
            if !upgrades.isEmpty { head.writeStaticString("Connection: Upgrade\r\n") }
        case .staysInOldVersion(let isProxyConnection):
            head.writeStaticString("Connection: keep-alive\r\n")
            if isProxyConnection { head.writeStaticString("Proxy-Connection: keep-alive\r\n") }
        case .closes:
            head.writeField("Connection", (upgrades.isEmpty ? "close" : "close, Upgrade").utf8)
        case .upgrades:
            for protocols in self.fields.values("upgrade") { head.writeField("Upgrade", protocols) }
            head.writeStaticString("Connection: Upgrade\r\n")
        }
    }
}
