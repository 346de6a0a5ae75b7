import Basics
import NIOCore

@testable import UDPAssociation

/// What comes in DATAGRAM frames of a tunnel, one behind the other, each with flags and its length in front; the flags say
/// how many milliseconds have passed. Pieces are put together.
func fuzzAssociationFrames(_ bytes: UnsafeRawBufferPointer) throws {
    var input = FuzzInput(bytes)
    var reassembler = DatagramReassembler()
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    while let (flags, payload) = input.datagram() {
        now = now + .milliseconds(Int64(flags) * 8)
        guard let frame = AssociationFrame(decoding: payload) else { continue }
        let encoded = frame.encoded()
        try promise(encoded.readableBytes <= payload.readableBytes, "it is longer when it is encoded again")
        try promise(AssociationFrame(decoding: encoded) == frame, "it is another when it is encoded again")
        switch frame.content {
        case .datagram(let endpoint, let payload):
            try promise(endpoint.port != 0, "port 0 is no port")
            try rewrite(payload, endpoint, frame.association)
        case .fragment(let fragment):
            guard let whole = reassembler.receive(fragment, of: frame.association, at: now) else { continue }
            try promise(whole.payload.readableBytes <= AssociationLimits.payload, "it has grown too large")
            try rewrite(whole.payload, whole.endpoint, frame.association)
        }
        try promise(reassembler.size.count <= 256 && reassembler.size.bytes <= 512 << 10, "\(reassembler.size) is kept")
    }
    reassembler.expire(at: now + .seconds(2))
    try promise(reassembler.size == (0, 0), "\(reassembler.size) is kept for ever")
}

/// What has come whole arrives whole by a path that carries little.
private func rewrite(_ payload: ByteBuffer, _ endpoint: Endpoint, _ association: AssociationID) throws {
    var writer = FrameWriter(association: association)
    var reassembler = DatagramReassembler()
    var whole: (Endpoint, ByteBuffer)?
    let isWritten = writer.write(payload, endpoint, limit: 700) { bytes in
        switch AssociationFrame(decoding: bytes)?.content {
        case .datagram(let endpoint, let payload): whole = (endpoint, payload)
        case .fragment(let piece):
            whole = reassembler.receive(piece, of: association, at: .uptimeNanoseconds(1)) ?? whole
        case nil: break
        }
    }
    guard payload.readableBytes <= AssociationLimits.payload else { return }
    try promise(isWritten && whole?.0 == endpoint && whole?.1 == payload, "it does not survive being cut")
}
