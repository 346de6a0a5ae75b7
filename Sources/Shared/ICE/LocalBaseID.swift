/// Names one local UDP socket: what ICE calls a base, the place that checks leave from and arrive at.
///
/// The owner of the sockets hands the numbers out. Several host candidates may share a base: a wildcard socket has one
/// for each of the machine's addresses.
package struct LocalBaseID: Hashable, Sendable, RawRepresentable {
    package let rawValue: Int

    package init(rawValue: Int) {
        self.rawValue = rawValue
    }

    package init(_ rawValue: Int) {
        self.rawValue = rawValue
    }
}
