import CLinuxNetlink
import NIOCore

/// The kernel's word that something has changed in the network: rtnetlink(7).
typealias NetworkNews = NetlinkSocket

extension NetworkNews {
    /// How often to look where there are no news.
    static let pollInterval = TimeAmount.seconds(10)

    /// An IFF_UP or a carrier that comes or goes, addresses, routes.
    private static let watchedGroups =
        RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE

    /// Nil when the kernel tells nothing.
    static func listen() -> NetworkNews? { try? NetlinkSocket(groups: self.watchedGroups) }
}
