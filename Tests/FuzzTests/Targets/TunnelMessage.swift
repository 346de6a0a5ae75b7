import AppProto
import NIOCore

@testable import Tunnel

/// The message at the beginning of a tunnel's stream, and what is in it. The first byte says in what pieces the rest
/// comes.
func fuzzTunnelMessage(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let size = input.byte()
    let whole = readTunnelMessage(input.pieces(of: 0))
    try promise(readTunnelMessage(input.pieces(of: size)) == whole, "it depends on the pieces that it comes in")
    guard case .message(let message, _) = whole else { return }
    if let opening = try? StreamOpening(decoding: message) {
        let encoded = opening.encoded()
        try promise(
            encoded.readableBytes <= TunnelMessageReader.maximumLength, "OpenTcp is too long to be passed on")
        try promise((try? StreamOpening(decoding: encoded)) == opening, "OpenTcp is another when it is encoded again")
    }
    if let result = try? OpenResult(decoding: message) {
        let encoded = result.encoded()
        try promise(
            encoded.readableBytes <= TunnelMessageReader.maximumLength, "OpenResult is too long to be passed on")
        try promise((try? OpenResult(decoding: encoded)) == result, "OpenResult is another when it is encoded again")
    }
}

private enum TunnelReading: Equatable {
    case incomplete
    case failure
    case message(ByteBuffer, rest: [UInt8])
}

private func readTunnelMessage(_ pieces: [ByteBuffer]) -> TunnelReading {
    var reader = TunnelMessageReader()
    for (index, piece) in pieces.enumerated() {
        var piece = piece
        do {
            if let message = try reader.read(from: &piece) {
                let rest = [piece] + pieces[(index + 1)...]
                return .message(message, rest: rest.flatMap { Array($0.readableBytesView) })
            }
        } catch {
            return .failure
        }
    }
    return .incomplete
}
