/// Names a flow inside one datagram channel. 0 is the channel's own: control frames.
package struct FlowID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt32

    @inlinable
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Frames of the channel itself.
    package static let control = FlowID(rawValue: 0)
}

extension FlowID: CustomStringConvertible {
    package var description: String { String(self.rawValue) }
}
