package import NIOCore

/// Why a target cannot be had.
package struct HTTPFailure: Sendable {
    let status: HTTPStatus
    let text: String

    /// - Parameter text: one line for the client.
    package init(_ status: HTTPStatus, _ text: String) {
        self.status = status
        self.text = text
    }
}

extension HTTPProxyMachine {
    // MARK: What happens to the target's connection

    /// What `connect` or `tunnel` has asked for is there.
    package mutating func targetConnected() {
        switch self.state {
        case .connecting(let exchange):
            self.state = .exchanging(exchange)
            self.perform(.sendToTarget(exchange.head))
            self.advance()
        case .tunnelling:
            self.state = .over
            self.perform(.sendToClient(ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n")))
            self.perform(.splice)
        case .head, .exchanging, .over:
            break
        }
    }

    /// It cannot be had.
    package mutating func targetFailed(_ failure: HTTPFailure) {
        let request: HTTPRequest
        switch self.state {
        case .connecting(let exchange): request = exchange.request
        case .tunnelling(let tunnel): request = tunnel
        case .head, .exchanging, .over: return
        }
        // The client may come with another request on this connection.
        self.answer(HTTPAnswer(failure.status, failure.text), to: request, mayStay: true)
        self.advance()
    }

    package mutating func targetReceived(_ bytes: ByteBuffer) {
        self.output.append(bytes)
        while self.readResponse() {}
        guard case .exchanging = self.state else {
            // What nobody has asked for would be taken for the answer to the next request.
            if self.output.readableBytes > 0 { self.dropIdleTarget() }
            return
        }
    }

    /// The target's FIN.
    package mutating func targetEnded() {
        guard case .exchanging(let exchange) = self.state else { return self.dropIdleTarget() }
        if case .content(let reader, let writer) = exchange.download, reader.endsWithConnection {
            if let end = writer.end(trailer: HTTPFields()) { self.perform(.sendToClient(end)) }
            self.finish(exchange)
        } else {
            self.lostTarget(exchange)
        }
    }

    /// The target has reset its connection, or the tunnel is lost.
    package mutating func targetBroke() {
        guard case .exchanging(let exchange) = self.state else { return self.dropIdleTarget() }
        self.lostTarget(exchange)
    }

    /// The target reads no more; it may still have an answer.
    package mutating func targetStopped() {
        guard case .exchanging(var exchange) = self.state else { return self.dropIdleTarget() }
        exchange.targetStays = false
        if case .content(let reader, _) = exchange.upload { exchange.upload = .refused(reader) }
        self.state = .exchanging(exchange)
    }

    /// A connection that is kept may well be closed just when it is used again: then the request is sent once more, if that
    /// can do no harm.
    private mutating func lostTarget(_ exchange: HTTPExchange) {
        let isUntouched = exchange.isUnanswered && self.output.readableBytes == 0
        self.resetTarget()
        if isUntouched, exchange.isReused, exchange.request.isRepeatable {
            self.state = .connecting(HTTPExchange(exchange.request, to: exchange.origin, head: exchange.head))
            self.perform(.connect(exchange.origin.target))
        } else if isUntouched {
            self.answer(
                HTTPAnswer(.badGateway, "\(exchange.origin.target) closed the connection without an answer"),
                to: exchange.request, mayStay: true)
            self.advance()
        } else {
            self.brokenResponse(exchange, .incomplete)
        }
    }

    // MARK: Responses

    /// Reads one step of a response; false when there is nothing to read.
    private mutating func readResponse() -> Bool {
        guard case .exchanging(var exchange) = self.state else { return false }
        do throws(HTTPViolation) {
            switch exchange.download {
            case .head(var reader):
                let lines = try reader.read(&self.output)
                exchange.download = .head(reader)
                self.state = .exchanging(exchange)
                guard let lines else { return false }
                let response = try HTTPResponse(lines, isToHead: exchange.isToHead)
                if response.isInformational {
                    try self.passOn(informational: response, exchange)
                } else {
                    self.passOn(response, exchange)
                }
            case .content(var reader, let writer):
                let piece = try reader.read(&self.output)
                exchange.download = .content(reader, writer)
                self.state = .exchanging(exchange)
                switch piece {
                case nil: return false
                case .data(let data): self.perform(.sendToClient(writer.data(data)))
                case .end(let trailer):
                    if let end = writer.end(trailer: trailer) { self.perform(.sendToClient(end)) }
                    self.finish(exchange)
                }
            }
            return true
        } catch {
            self.resetTarget()
            self.brokenResponse(exchange, error)
            return false
        }
    }

    /// HTTP/1.0 clients don't know these (RFC 9110 §15.2).
    private mutating func passOn(informational response: HTTPResponse, _ exchange: HTTPExchange) throws(HTTPViolation) {
        let announcement = self.configuration.announcement
        if response.status == 101 {
            guard !exchange.request.upgrades.isEmpty, exchange.isUploaded, exchange.targetStays else {
                throw .unexpectedUpgrade
            }
            self.perform(
                .sendToClient(
                    response.forwarded(isChunked: false, connection: .upgrades, announcement: announcement)))
            self.state = .over
            self.perform(.splice)
        } else if exchange.request.version == .http1_1 {
            self.perform(
                .sendToClient(response.forwarded(isChunked: false, connection: nil, announcement: announcement)))
        }
    }

    /// Content without a length goes on in chunks, so that its end can be told from a loss; not to HTTP/1.0, for which the
    /// connection's end is its end.
    ///
    /// If the request is not complete yet, the client's connection does not stay: whether it sends the rest is its choice.
    private mutating func passOn(_ response: HTTPResponse, _ exchange: HTTPExchange) {
        var exchange = exchange
        let hasLength =
            switch response.content {
            case .nothing, .bytes: true
            case .chunked, .untilClose: false
            }
        let isChunked = !hasLength && exchange.request.version == .http1_1
        let stays = exchange.isUploaded && (hasLength || isChunked) ? exchange.request.whenItStays : nil
        exchange.clientStays = stays != nil
        exchange.targetStays = exchange.targetStays && response.isPersistent
        exchange.download = .content(HTTPContentReader(response.content), isChunked ? .chunked : .plain)
        self.state = .exchanging(exchange)
        self.perform(
            .sendToClient(
                response.forwarded(
                    isChunked: isChunked, connection: stays ?? .closes, announcement: self.configuration.announcement)))
    }

    /// The response is complete.
    private mutating func finish(_ exchange: HTTPExchange) {
        if exchange.targetStays, exchange.isUploaded, self.output.readableBytes == 0 {
            self.idleTarget = exchange.origin.target
        } else if exchange.isUploaded {
            self.closeTarget()
        } else {
            self.resetTarget()
        }
        guard exchange.clientStays else { return self.close() }
        self.state = .head(HTTPHeadReader())
        self.perform(.tell(.becameIdle))
        self.advance()
    }

    private mutating func brokenResponse(_ exchange: HTTPExchange, _ violation: HTTPViolation) {
        guard exchange.isUnanswered else { return self.resetClient() }
        self.answer(
            HTTPAnswer(.badGateway, "the answer of \(exchange.origin.target) is not understood: \(violation)"),
            to: exchange.request, mayStay: true)
        self.advance()
    }
}
