import NIOCore

@testable import Signaling

/// Records of signalling over QUIC. The first byte says in what pieces the rest comes.
func fuzzSignalRecord(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    let size = input.byte()
    let whole = readSignalRecords(input.pieces(of: 0))
    try promise(readSignalRecords(input.pieces(of: size)) == whole, "it depends on the pieces that they come in")
    let payload = whole.messages.reduce(0) { $0 + $1.readableBytes }
    try promise(payload + 4 * whole.messages.count <= bytes.count, "more comes out than went in")
    let again = readSignalRecords(whole.messages.map(SignalRecordDecoder.record))
    try promise(
        again.messages == whole.messages && !again.isMidRecord && !again.hasFailed, "a record does not survive encoding"
    )
}

private struct SignalReading: Equatable {
    var messages: [ByteBuffer] = []
    var isMidRecord = false
    var hasFailed = false
}

private func readSignalRecords(_ pieces: [ByteBuffer]) -> SignalReading {
    var decoder = SignalRecordDecoder()
    var reading = SignalReading()
    for piece in pieces {
        decoder.append(piece)
        do {
            while let message = try decoder.next() { reading.messages.append(message) }
        } catch {
            reading.hasFailed = true
            return reading
        }
    }
    reading.isMidRecord = decoder.isMidRecord
    return reading
}
