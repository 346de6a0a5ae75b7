import LibC
import NIOCore

/// The kernel's word that something has changed in the network: there is none.
enum NetworkNews {
    /// What has come.
    enum News {
        case nothing
        case changed
        case lost
    }

    /// How often to look where there are no news.
    static let pollInterval = TimeAmount.seconds(2)

    static func listen() -> NetworkNews? { nil }

    /// What to wait for.
    var descriptor: CInt { switch self {} }

    /// Reads away what waits.
    func drain() -> News { switch self {} }
}
