package import NIOCore

/// A frame inside a record of the datagram channel.
///
/// ```
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------------------------------------------------------+
/// |                            flow_id                            |
/// +-------------------------------+-------------------------------+
/// |          payload_len          |          payload …            |
/// +-------------------------------+-------------------------------+
/// ```
/// Big-endian. A record holds one or more frames, back to back, and nothing else.
package struct RelayFrame: Equatable, Sendable {
    /// Bytes before the payload: `flow_id` and `payload_len`.
    package static let headerLength = 6

    /// The flow it belongs to.
    package let flowID: FlowID
    /// 0...65 535 bytes: one UDP payload, or one control message.
    package let payload: ByteBuffer

    package init(flowID: FlowID, payload: ByteBuffer) {
        self.flowID = flowID
        self.payload = payload
    }
}

/// Why a record could not be taken apart. Nothing of such a record is used.
package enum RelayFrameError: Error, Equatable {
    /// A record without any frame.
    case emptyRecord
    /// Fewer bytes left than a header has.
    case truncatedHeader(remaining: Int)
    /// The header promises more payload than the record holds.
    case truncatedPayload(claimed: Int, remaining: Int)
    /// A control frame of a form that this version does not know is skipped; one of a known type and wrong length is an error.
    case malformedControl
}

/// Reads the frames of a record, checked as a whole first: a record with a malformed frame yields none.
package struct RelayRecordReader: Sequence, IteratorProtocol {
    private var record: ByteBuffer

    /// - Throws: when any frame of `record` is malformed.
    package init(_ record: ByteBuffer) throws(RelayFrameError) {
        guard record.readableBytes > 0 else { throw .emptyRecord }
        var index = record.readerIndex
        while index < record.writerIndex {
            let remaining = record.writerIndex - index
            guard remaining >= RelayFrame.headerLength,
                let length = record.getInteger(at: index + 4, as: UInt16.self)
            else { throw .truncatedHeader(remaining: remaining) }
            guard remaining - RelayFrame.headerLength >= Int(length) else {
                throw .truncatedPayload(claimed: Int(length), remaining: remaining - RelayFrame.headerLength)
            }
            index += RelayFrame.headerLength + Int(length)
        }
        self.record = record
    }

    /// The next frame; its payload shares the record's memory.
    package mutating func next() -> RelayFrame? {
        guard let id = self.record.readInteger(as: UInt32.self), let length = self.record.readInteger(as: UInt16.self),
            let payload = self.record.readSlice(length: Int(length))
        else { return nil }
        return RelayFrame(flowID: FlowID(rawValue: id), payload: payload)
    }
}

/// Packs frames into records of at most `limit` bytes.
///
/// What one turn of the event loop brings goes out together: for each datagram make room (``hasRoom(for:)``, else
/// ``finish(_:)``), then ``append(_:payload:)``; ``finish(_:)`` also ends the turn. No frame waits for company beyond
/// that. The memory of the record is used again.
package struct RelayRecordWriter {
    /// Most bytes of a record.
    package var limit: Int
    private var record = ByteBuffer()

    /// - Parameter limit: the channel's largest record payload in bytes, at least a header.
    package init(limit: Int) { self.limit = limit }

    /// Whether a payload of `length` bytes fits a record at all.
    package func fits(_ length: Int) -> Bool {
        length <= Int(UInt16.max) && length <= self.limit - RelayFrame.headerLength
    }

    /// Whether a payload of `length` bytes fits what is left of the record under way.
    package func hasRoom(for length: Int) -> Bool {
        self.record.readableBytes + RelayFrame.headerLength + length <= self.limit
    }

    /// Adds a frame to the record under way.
    ///
    /// - Precondition: ``fits(_:)`` and ``hasRoom(for:)`` hold for the payload.
    package mutating func append(_ flowID: FlowID, payload: ByteBuffer) {
        let length = payload.readableBytes
        precondition(self.fits(length) && self.hasRoom(for: length), "the caller checks the size of a payload")
        self.record.writeInteger(flowID.rawValue)
        self.record.writeInteger(UInt16(truncatingIfNeeded: length))
        self.record.writeImmutableBuffer(payload)
    }

    /// Hands the record under way to `body`, if it holds a frame, and begins a new one.
    package mutating func finish(_ body: (ByteBuffer) -> Void) {
        guard self.record.readableBytes > 0 else { return }
        body(self.record)
        // Keeps the memory unless somebody else still needs it.
        self.record.clear()
    }
}
