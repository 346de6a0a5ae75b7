import NIOCore

@testable import HTTPProxy

/// What a client says to the proxy in HTTP. The first byte says in what pieces it comes, the second whether a password is
/// wanted. Every request that is complete is answered at once.
func fuzzHTTPProxyClient(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let size = input.byte()
    let flags = input.byte()
    let whole = try converse(input.pieces(of: 0), flags: flags)
    let pieces = try converse(input.pieces(of: size), flags: flags)
    try promise(pieces.steps == whole.steps, "it depends on the pieces that requests come in: \(pieces) \(whole)")
    let atOnce = try requests(whole.toTarget, isCutOff: whole.isTargetReset)
    let bitByBit = try requests(pieces.toTarget, isCutOff: pieces.isTargetReset)
    try promise(atOnce == bitByBit, "what a server gets depends on the pieces that requests come in")
}

/// What a server says to the proxy. The first byte says in what pieces it comes, the second what it was asked, and whether its
/// connection ends.
func fuzzHTTPProxyTarget(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let size = input.byte()
    let flags = input.byte()
    let whole = answered(input.pieces(of: 0), flags: flags)
    let pieces = answered(input.pieces(of: size), flags: flags)
    try promise(
        pieces.end == whole.end && pieces.bytes == whole.bytes, "it depends on the pieces that responses come in")
    try checkResponses(whole, to: question(flags))
}

// MARK: - Requests

private struct Outcome {
    var toTarget: [UInt8] = []
    /// Targets, answers, and how it ended.
    var steps: [String] = []
    var isTargetReset = false
}

private func converse(_ pieces: [ByteBuffer], flags: UInt8) throws -> Outcome {
    let accepts = { (user: [UInt8], password: [UInt8]) in user == password }
    var machine = HTTPProxyMachine(
        HTTPProxyMachine.Configuration(
            accepts: flags & 1 != 0 ? accepts : nil,
            announcement: flags & 2 != 0 ? HTTPAnnouncement(client: "192.0.2.1") : nil))
    var outcome = Outcome()
    for piece in pieces {
        machine.received(piece)
        drain(&machine, into: &outcome)
        try promise(machine.input.readableBytes <= HTTPHeadReader.limit + piece.readableBytes, "too much is kept")
    }
    machine.clientEnded()
    drain(&machine, into: &outcome)
    return outcome
}

private func drain(_ machine: inout HTTPProxyMachine, into outcome: inout Outcome) {
    while true {
        guard let action = machine.nextAction() else {
            // A server that answers what is complete.
            guard case .exchanging(let exchange) = machine.state, exchange.isUploaded else { return }
            machine.targetReceived(ByteBuffer(string: "HTTP/1.1 204 No Content\r\n\r\n"))
            continue
        }
        switch action {
        case .connect(let target), .tunnel(let target):
            outcome.steps.append("\(target)")
            machine.targetConnected()
        case .sendToTarget(let bytes): outcome.toTarget += Array(buffer: bytes)
        case .sendToClient(let bytes): outcome.steps.append(String(buffer: bytes))
        case .resetTarget: outcome.isTargetReset = true
        case .splice: outcome.steps.append("spliced")
        case .closeClient: outcome.steps.append("closed")
        case .resetClient: outcome.steps.append("reset")
        case .closeTarget, .tell: break
        }
        // Answers that come in one piece or several are the same.
        if outcome.steps.count > 1, case let (last, before) = (outcome.steps.removeLast(), outcome.steps.removeLast()) {
            if last.hasPrefix("HTTP/"), before.hasPrefix("HTTP/") {
                outcome.steps.append(before + last)
            } else {
                outcome.steps += [before, last]
            }
        }
    }
}

/// What a server gets must be requests in good order, one behind the other. Returns their lines and contents.
private func requests(_ bytes: [UInt8], isCutOff: Bool) throws -> [[UInt8]] {
    var rest = ByteBuffer(bytes: bytes)
    var requests: [[UInt8]] = []
    while rest.readableBytes > 0 {
        do throws(HTTPViolation) {
            var reader = HTTPHeadReader()
            guard let lines = try reader.read(&rest) else { throw .incomplete }
            requests += lines.map(Array.init) + [[]]
            let fields = try HTTPFields(lines.dropFirst())
            guard fields.values("host").count == 1 else { throw .severalHosts }
            var content = HTTPContentReader(try HTTPContentLength(requestWith: fields, version: .http1_1))
            var isComplete = false
            while !isComplete, let piece = try content.read(&rest) {
                switch piece {
                case .data(let data): requests[requests.count - 1] += Array(buffer: data)
                case .end(let trailer):
                    requests += trailer.lines.map { Array($0.name + $0.value) }
                    isComplete = true
                }
            }
            guard isComplete else { throw .incomplete }
        } catch {
            if isCutOff, error == .incomplete { return requests }
            throw BrokenPromise(description: "a server gets what is no request: \(error)")
        }
    }
    return requests
}

// MARK: - Responses

private struct Answer {
    var bytes: [UInt8] = []
    var end = ""
}

private func question(_ flags: UInt8) -> String {
    switch flags & 3 {
    case 0: "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
    case 1: "HEAD http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
    case 2: "GET http://a/ HTTP/1.0\r\n\r\n"
    default: "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    }
}

private func answered(_ pieces: [ByteBuffer], flags: UInt8) -> Answer {
    var machine = HTTPProxyMachine(HTTPProxyMachine.Configuration())
    machine.received(ByteBuffer(string: question(flags)))
    _ = machine.nextAction()
    _ = machine.nextAction()
    machine.targetConnected()
    var answer = Answer()
    var isOver = false
    func drain() {
        while let action = machine.nextAction() {
            switch action {
            case .sendToClient(let bytes): answer.bytes += Array(buffer: bytes)
            case .splice: answer.end += "spliced "
            case .closeClient: answer.end += "closed "
            case .resetClient: answer.end += "reset "
            case .tell(.becameIdle): answer.end += "idle "
            case .closeTarget, .resetTarget: isOver = true
            case .connect, .tunnel, .sendToTarget, .tell: break
            }
        }
    }
    drain()
    for piece in pieces where !isOver {
        machine.targetReceived(piece)
        drain()
    }
    if !isOver, flags & 4 != 0 {
        if flags & 8 != 0 { machine.targetEnded() } else { machine.targetBroke() }
        drain()
    }
    // In what pieces content comes is of no importance.
    if answer.bytes.count > 0 { answer.bytes = normalized(answer.bytes, to: question(flags)) }
    return answer
}

/// Chunks that follow each other as one.
private func normalized(_ bytes: [UInt8], to question: String) -> [UInt8] {
    var rest = ByteBuffer(bytes: bytes)
    var result: [UInt8] = []
    var reader = HTTPHeadReader()
    while let lines = try? reader.read(&rest) {
        result += lines.joined(separator: "\r\n".utf8) + Array("\r\n\r\n".utf8)
        guard let response = try? HTTPResponse(lines, isToHead: question.hasPrefix("HEAD")) else { break }
        guard response.status >= 200, case .chunked = response.content else { continue }
        var content = HTTPContentReader(.chunked)
        var isComplete = false
        while !isComplete, let piece = try? content.read(&rest) {
            switch piece {
            case .data(let data): result += Array(buffer: data)
            case .end(let trailer):
                result += Array("\(trailer.lines.count)".utf8)
                isComplete = true
            }
        }
    }
    return result + Array(buffer: rest)
}

/// What a client gets must begin with responses in good order.
private func checkResponses(_ answer: Answer, to question: String) throws {
    var rest = ByteBuffer(bytes: answer.bytes)
    while rest.readableBytes > 0 {
        do throws(HTTPViolation) {
            var reader = HTTPHeadReader()
            guard let lines = try reader.read(&rest) else { throw .incomplete }
            let response = try HTTPResponse(lines, isToHead: question.hasPrefix("HEAD"))
            if response.status >= 200 || response.status == 101 { return }
        } catch {
            throw BrokenPromise(description: "a client gets what is no response: \(error)")
        }
    }
}

extension Array where Element == UInt8 {
    fileprivate init(buffer: ByteBuffer) { self = Array(buffer.readableBytesView) }
}
