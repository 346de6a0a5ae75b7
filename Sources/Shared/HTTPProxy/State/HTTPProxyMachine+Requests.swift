import NIOCore

extension HTTPProxyMachine {
    /// Reads a request's head and begins with it; false when it is not there yet, or the last one was.
    mutating func readHead(_ reader: HTTPHeadReader) -> Bool {
        self.skipEmptyLines()
        var reader = reader
        do throws(HTTPViolation) {
            let lines = try reader.read(&self.input)
            self.state = .head(reader)
            guard let lines else {
                if self.isInputEnded { self.close() }
                return false
            }
            try self.begin(try HTTPRequest(lines))
        } catch {
            self.refuse(.violation(error), with: HTTPAnswer(error), request: nil)
        }
        return true
    }

    /// RFC 9112 §2.2: some clients send one behind a request's content.
    private mutating func skipEmptyLines() {
        while self.input.readableBytesView.starts(with: "\r\n".utf8) { self.input.moveReaderIndex(forwardBy: 2) }
    }

    private mutating func begin(_ request: HTTPRequest) throws(HTTPViolation) {
        if case .notForProxy = request.form { return self.refuse(.notForProxy, with: .page, request: request) }
        guard self.admits(request) else { return }
        self.isAdmitted = true
        self.perform(.tell(.requestCame))
        switch request.form {
        case .notForProxy:
            break
        case .connect(let target):
            self.dropIdleTarget()
            self.state = .tunnelling(request)
            self.perform(.tunnel(target))
        case .absolute(let origin):
            let forwards = try request.remainingForwards()
            if forwards == 0 { return self.answerAsLast(request) }
            let head = request.forwarded(
                to: origin, maxForwards: forwards.map { $0 - 1 }, announcement: self.configuration.announcement)
            self.send(HTTPExchange(request, to: origin, head: head))
        }
    }

    /// Whether the client may use the proxy; otherwise it is answered. One that does not log in is asked to on the same
    /// connection; one that gets it wrong has to come again, which is what slows it down.
    private mutating func admits(_ request: HTTPRequest) -> Bool {
        guard let accepts = self.configuration.accepts else { return true }
        switch HTTPLogin(request.fields) {
        case .none:
            let text = "this proxy wants a user and a password"
            self.answer(HTTPAnswer(.proxyAuthenticationRequired, text), to: request, mayStay: true)
            return false
        case .user(let user, let password):
            if accepts(user, password) {
                self.user = String(decoding: user, as: UTF8.self)
                return true
            }
            self.refuseLogin(of: request, user: String(decoding: user, as: UTF8.self))
            return false
        case .malformed:
            self.refuseLogin(of: request, user: "")
            return false
        }
    }

    private mutating func refuseLogin(of request: HTTPRequest, user: String) {
        let answer = HTTPAnswer(.proxyAuthenticationRequired, "the user or the password is wrong")
        self.refuse(.wrongLogin(user: user), with: answer, request: request)
    }

    /// A request that may be passed on no further: this is who it is for (RFC 9110 §7.6.2).
    private mutating func answerAsLast(_ request: HTTPRequest) {
        let answer =
            request.isMethod("OPTIONS")
            ? HTTPAnswer(.ok, "this is a proxy") : HTTPAnswer(.methodNotAllowed, "this proxy does not answer TRACE")
        self.answer(answer, to: request, mayStay: true)
    }

    /// Over the connection that is there, if it goes to the right place.
    private mutating func send(_ exchange: HTTPExchange) {
        var exchange = exchange
        let target = exchange.origin.target
        if self.idleTarget == target {
            self.idleTarget = nil
            exchange.isReused = true
            self.state = .exchanging(exchange)
            self.perform(.sendToTarget(exchange.head))
        } else {
            self.dropIdleTarget()
            self.state = .connecting(exchange)
            self.perform(.connect(target))
        }
    }

    /// Passes content on, as much as there is.
    mutating func readContent(_ exchange: HTTPExchange) {
        var exchange = exchange
        do throws(HTTPViolation) {
            var isComplete = false
            while !isComplete, let piece = try exchange.readUpload(&self.input) {
                isComplete = exchange.isUploaded
                if let piece = piece.forTarget { self.perform(.sendToTarget(piece)) }
            }
            guard isComplete || !self.isInputEnded else { throw .incomplete }
            self.state = .exchanging(exchange)
        } catch {
            self.resetTarget()
            guard exchange.isUnanswered else { return self.resetClient() }
            self.refuse(.violation(error), with: HTTPAnswer(error), request: exchange.request)
        }
    }

    // MARK: Answers

    /// Turns the client away.
    private mutating func refuse(_ refusal: HTTPRefusal, with answer: HTTPAnswer, request: HTTPRequest?) {
        self.perform(.tell(.turnedAway(refusal)))
        self.answer(answer, to: request, mayStay: false)
    }

    /// Answers without a server. The connection stays, if it may, when the request has no content that would have to be read.
    mutating func answer(_ answer: HTTPAnswer, to request: HTTPRequest?, mayStay: Bool) {
        let connection = request.flatMap { mayStay && $0.content == .nothing ? $0.whenItStays : nil } ?? .closes
        let isToHead = request?.isMethod("HEAD") ?? false
        self.perform(.sendToClient(answer.encoded(isToHead: isToHead, connection: connection)))
        if case .closes = connection { self.close() } else { self.state = .head(HTTPHeadReader()) }
    }
}

extension HTTPRequest {
    /// What the client is told when its connection stays; nil when it does not want that.
    var whenItStays: HTTPClientConnection? {
        guard self.isPersistent else { return nil }
        return switch self.version {
        case .http1_1: .stays
        case .http1_0: .staysInOldVersion(isProxyConnection: self.fields.contains("proxy-connection"))
        }
    }
}

extension HTTPExchange {
    /// A piece of content, as it goes to the server.
    struct UploadPiece {
        let forTarget: ByteBuffer?
    }

    /// The next piece of the request's content; nil when there is none yet.
    mutating func readUpload(_ input: inout ByteBuffer) throws(HTTPViolation) -> UploadPiece? {
        switch self.upload {
        case .complete:
            return nil
        case .content(var reader, let writer):
            guard let piece = try reader.read(&input) else {
                self.upload = .content(reader, writer)
                return nil
            }
            switch piece {
            case .data(let data):
                self.upload = .content(reader, writer)
                return UploadPiece(forTarget: writer.data(data))
            case .end(let trailer):
                self.upload = .complete
                return UploadPiece(forTarget: writer.end(trailer: trailer))
            }
        case .refused(var reader):
            guard let piece = try reader.read(&input) else {
                self.upload = .refused(reader)
                return nil
            }
            if case .end = piece { self.upload = .complete } else { self.upload = .refused(reader) }
            return UploadPiece(forTarget: nil)
        }
    }
}
