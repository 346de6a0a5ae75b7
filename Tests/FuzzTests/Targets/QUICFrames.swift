@testable import QUIC

#if canImport(CNgtcp2Frames)
import CNgtcp2Frames
#endif

/// The payload of a decrypted packet, before ngtcp2 sees it. The first byte is the protocol's.
///
/// With libFuzzer, what ngtcp2 reads in it must be what the scanner has read.
func fuzzQUICFrames(_ bytes: UnsafeRawBufferPointer) throws {
    var scanner = FrameScanner(bytes)
    var frames: [FrameScanner.Frame] = []
    while let frame = scanner.next() { frames.append(frame) }
    try promise(frames.count <= bytes.count, "more frames than bytes")
    try promise(frames.dropLast().allSatisfy { $0 != .unreadable }, "it reads on behind what it cannot read")
    for case .acknowledgement(let range) in frames {
        try promise(
            range.lowerBound >= 0 && range.upperBound <= bytes.count && [2, 3].contains(bytes[range.lowerBound]),
            "an acknowledgement at \(range)")
    }
    #if canImport(CNgtcp2Frames)
    let (library, isWhole) = framesReadByLibrary(bytes)
    if frames.last == .unreadable {
        // A type that no RFC knows may be STREAM to the library; nothing else may be refused that it would take.
        try promise(!isWhole || library.hasUnknownType, "a payload that the library understands is refused")
    } else if isWhole {
        try promise(library.frames == frames, "the library reads \(library.frames), the scanner \(frames)")
    } else {
        // The library ends the connection where it stops, and has not used more than that.
        try promise(frames.starts(with: library.frames), "the library reads \(library.frames), the scanner \(frames)")
    }
    #endif
}

#if canImport(CNgtcp2Frames)
private struct LibraryFrames {
    var frames: [FrameScanner.Frame] = []
    var hasUnknownType = false
}

/// What ngtcp2 makes of a payload, up to its first error; the values by a reader of their own.
private func framesReadByLibrary(_ payload: UnsafeRawBufferPointer) -> (LibraryFrames, isWhole: Bool) {
    var result = LibraryFrames()
    var position = 0
    while position < payload.count {
        let rest = UnsafeRawBufferPointer(rebasing: payload[position...])
        let length = CNgtcp2Frames_length(rest.bindMemory(to: UInt8.self).baseAddress, rest.count)
        guard length > 0, length <= rest.count else { return (result, false) }
        var values = VarintReader(rest.dropFirst())
        switch rest[0] {
        case 0x02, 0x03: result.frames.append(.acknowledgement(position..<position + Int(length)))
        case 0x05: result.frames.append(.stopSending(streamID: Int64(values.next()), code: values.next()))
        case 0x06: result.frames.append(.crypto)
        case 0x18:
            _ = values.next()
            result.frames.append(.newConnectionID(retirePriorTo: values.next()))
        case 0x1a: result.frames.append(.pathChallenge)
        case 0x1e: result.frames.append(.handshakeDone)
        case 0x00...0x1d, 0x30, 0x31: break
        default: result.hasUnknownType = true
        }
        position += Int(length)
    }
    return (result, true)
}

/// RFC 9000 section 16, of bytes that are known to be there.
private struct VarintReader {
    private var rest: Slice<UnsafeRawBufferPointer>

    init(_ rest: Slice<UnsafeRawBufferPointer>) { self.rest = rest }

    mutating func next() -> UInt64 {
        guard let first = self.rest.first else { return .max }
        let bytes = self.rest.prefix(1 << Int(first >> 6))
        self.rest = self.rest.dropFirst(bytes.count)
        return bytes.dropFirst().reduce(UInt64(first & 0x3F)) { $0 << 8 | UInt64($1) }
    }
}
#endif
