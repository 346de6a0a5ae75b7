package import NIOCore

/// Where datagrams of the protocol above go.
package enum PathRoute {
    case bridge
    /// From a socket to an address of the peer.
    case direct(PathBase, remote: SocketAddress, SelectedPath)

    package var path: SelectedPath {
        switch self {
        case .bridge: .bridge
        case .direct(_, _, let path): path
        }
    }
}

/// Whether there is a path, and how long the lack of one is borne.
enum PathPresence {
    /// There has been none so far.
    case awaited
    case there
    /// A restart or the control connection may bring another until then.
    case missing(until: NIODeadline)

    var hasBeenThere: Bool { if case .awaited = self { false } else { true } }
    var deadline: NIODeadline? { if case .missing(let until) = self { until } else { nil } }

    mutating func update(_ isThere: Bool, patience: TimeAmount, at now: NIODeadline) {
        switch (self, isThere) {
        case (_, true): self = .there
        case (.there, false): self = .missing(until: now + patience)
        case (.awaited, false), (.missing, false): break
        }
    }
}
