import NIOCore
import PeerPath

@testable import PeerChannel

/// Stands between sockets and paths, and passes on what `passes` says.
final class PathFilter: PathSocketsDelegate {
    private weak var paths: PathDriver?
    private let passes: (_ base: PathBase, _ length: Int, _ source: SocketAddress) -> Bool

    /// Sits down in front of `paths`. To be retained by the test.
    init(_ paths: PathDriver, passes: @escaping (PathBase, Int, SocketAddress) -> Bool) {
        self.paths = paths
        self.passes = passes
        paths.sockets.delegate = self
    }

    func received(_ bytes: ByteBuffer, segmentSize: Int?, on base: PathBase, from source: SocketAddress) {
        guard self.passes(base, segmentSize ?? bytes.readableBytes, source) else { return }
        self.paths?.received(bytes, segmentSize: segmentSize, on: base, from: source)
    }

    func receiveComplete() { self.paths?.receiveComplete() }
    func writabilityChanged(of base: PathBase) { self.paths?.writabilityChanged(of: base) }
    func socketLost(_ base: PathBase, error: (any Error)?, isLast: Bool) {
        self.paths?.socketLost(base, error: error, isLast: isLast)
    }
}
