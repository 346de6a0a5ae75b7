import NIOCore

extension HTTPRequest {
    /// The head for the server: in HTTP/1.1, whatever the client speaks (RFC 9112 §2.3), without what is for this hop only, and
    /// with the URL's `Host`.
    ///
    /// - Parameter maxForwards: what `Max-Forwards` becomes, if it counts (RFC 9110 §7.6.2).
    func forwarded(to origin: HTTPOrigin, maxForwards: Int?, announcement: HTTPAnnouncement?) -> ByteBuffer {
        var head = ByteBuffer()
        head.writeBytes(self.method)
        head.writeStaticString(" ")
        head.writeBytes(origin.requestTarget)
        head.writeStaticString(" HTTP/1.1\r\n")
        head.writeField("Host", origin.authority)
        let hopByHop = HTTPHopByHop(self.fields)
        for field in self.fields.lines where !hopByHop.contains(field) && !self.isWrittenAnew(field, announcement) {
            head.writeField(field)
        }
        if let maxForwards { head.writeField("Max-Forwards", "\(maxForwards)".utf8) }
        if case .chunked = self.content { head.writeStaticString("Transfer-Encoding: chunked\r\n") }
        self.writeConnection(to: &head)
        self.write(announcement, to: &head)
        head.writeStaticString("\r\n")
        return head
    }

    /// Left out here, and written if it is wanted. What only HTTP/1.1 knows is not taken from HTTP/1.0 (RFC 9110 §10.1.1).
    private func isWrittenAnew(_ field: HTTPField, _ announcement: HTTPAnnouncement?) -> Bool {
        field.isNamed("host") || field.isNamed("proxy-authorization")
            || field.isNamed("max-forwards") && self.isCounted
            || field.isNamed("expect") && self.version == .http1_0
            || announcement?.client != nil && field.isNamed("x-forwarded-for")
    }

    /// What is asked of the next hop: another protocol, and trailers, which are passed on here (RFC 9110 §10.1.4).
    private func writeConnection(to head: inout ByteBuffer) {
        let upgrades = self.upgrades
        let takesTrailers =
            self.version == .http1_1 && self.fields.members("connection", contain: "te")
            && self.fields.members("te", contain: "trailers")
        for protocolName in upgrades { head.writeField("Upgrade", protocolName) }
        if takesTrailers { head.writeStaticString("TE: trailers\r\n") }
        switch (upgrades.isEmpty, takesTrailers) {
        case (false, true): head.writeStaticString("Connection: Upgrade, TE\r\n")
        case (false, false): head.writeStaticString("Connection: Upgrade\r\n")
        case (true, true): head.writeStaticString("Connection: TE\r\n")
        case (true, false): break
        }
    }

    private func write(_ announcement: HTTPAnnouncement?, to head: inout ByteBuffer) {
        guard let announcement else { return }
        let via = self.version == .http1_1 ? HTTPAnnouncement.via : HTTPAnnouncement.oldVia
        head.writeField("Via", via.utf8)
        guard let client = announcement.client else { return }
        let clients = self.fields.values("x-forwarded-for").filter { !$0.isEmpty } + [ArraySlice(client.utf8)]
        head.writeField("X-Forwarded-For", Array(clients.joined(separator: ", ".utf8)))
    }

    /// Whether `Max-Forwards` means something (RFC 9110 §7.6.2).
    private var isCounted: Bool { self.isMethod("TRACE") || self.isMethod("OPTIONS") }

    /// How many times the request may be passed on; nil without a limit.
    func remainingForwards() throws(HTTPViolation) -> Int? {
        guard self.isCounted else { return nil }
        let values = self.fields.values("max-forwards")
        guard let first = values.first else { return nil }
        guard values.count == 1, let number = HTTPText.number(first) else { throw .invalidMaxForwards }
        return number
    }
}
