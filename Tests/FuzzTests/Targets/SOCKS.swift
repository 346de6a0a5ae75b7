import NIOCore

@testable import SOCKS

/// What a program says to the proxy. The first byte says whether a password is wanted and how the dial ends, the second
/// in what pieces the rest comes.
func fuzzSOCKS(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let flags = input.byte()
    let size = input.byte()
    let whole = try negotiate(input.pieces(of: 0), flags: flags)
    let pieces = try negotiate(input.pieces(of: size), flags: flags)
    try promise(pieces == whole, "it depends on the pieces that the requests come in")
}

private struct Negotiation: Equatable {
    var steps: [SOCKSServerStateMachine.Step] = []
    var reply: ByteBuffer?
    /// What is left for the target.
    var rest: [UInt8] = []
}

private let outcomes: [SOCKSOutcome] = [
    .connected(bound: nil), .connected(bound: try? SocketAddress(ipAddress: "192.0.2.1", port: 1)),
    .connected(bound: try? SocketAddress(ipAddress: "2001:db8::1", port: 65535)), .refused, .hostUnreachable,
    .networkUnreachable, .nameNotFound, .timedOut, .policy, .failed, .unsupported,
]

private func negotiate(_ pieces: [ByteBuffer], flags: UInt8) throws(BrokenPromise) -> Negotiation {
    var credentials = SOCKSCredentials()
    if flags & 1 != 0 { _ = credentials.add(user: "user", password: "password") }
    var machine = SOCKSServerStateMachine(credentials: credentials)
    var negotiation = Negotiation()
    var buffer = ByteBuffer()
    var isOver = false
    for piece in pieces {
        buffer.writeImmutableBuffer(piece)
        while !isOver {
            let before = buffer.readableBytes
            let step = machine.receive(&buffer)
            if case .needMoreBytes = step {
                try promise(buffer.readableBytes == before, "bytes are taken without a decision")
                try promise(before <= 521, "\(before) bytes without a decision")
                break
            }
            negotiation.steps.append(step)
            switch step {
            case .connect(let target):
                try promise((1...255).contains(target.hostText.utf8.count) && target.port != 0, "no target: \(target)")
                negotiation.reply = machine.complete(outcomes[Int(flags >> 1) % outcomes.count])
                isOver = true
            case .associate(let port):
                try promise(port != 0, "port 0 is none")
                negotiation.reply = machine.complete(outcomes[Int(flags >> 1) % outcomes.count])
                isOver = true
            case .refuse:
                isOver = true
            case .send, .needMoreBytes:
                break
            }
        }
    }
    negotiation.rest = Array(buffer.readableBytesView)
    // Of a client that is turned away nothing is of interest any more.
    if case .refuse = negotiation.steps.last { negotiation.rest = [] }
    return negotiation
}

/// A datagram between a SOCKS client and its UDP relay.
func fuzzSOCKSDatagram(_ bytes: UnsafeRawBufferPointer) throws {
    let buffer = ByteBuffer(bytes: bytes)
    guard let datagram = try? SOCKSDatagram(decoding: buffer) else { return }
    try promise(datagram.endpoint.port != 0, "port 0 is no port")
    try promise(datagram.payload.readableBytes <= buffer.readableBytes - 8, "the payload comes from nowhere")
    var encoded = ByteBuffer()
    datagram.write(into: &encoded)
    try promise(encoded.readableBytes == datagram.encodedLength, "it is not as long as it says")
    try promise((try? SOCKSDatagram(decoding: encoded)) == datagram, "it is another when it is encoded again")
}
