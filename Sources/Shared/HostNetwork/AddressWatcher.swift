import LibC
import NIOCore
import UDP

import CLinuxNetlink

/// A thread that watches this machine's addresses: sleeps until the kernel says that something has happened (rtnetlink(7)),
/// or where it does not say so, looks every 10 s.
///
/// A thread and not a channel of some event loop, because none of those lives as long as the process, and because looking
/// takes longer than datagrams should wait on a machine with many interfaces.
final class AddressWatcher {
    /// An IFF_UP or a carrier that comes or goes, addresses, routes.
    private static let groups =
        RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE

    private let usesNetlink: Bool
    private var socket: NetlinkSocket?
    private var watch: AddressWatch
    /// An eventfd(2), the owner's: readable when the thread is to end.
    private let stopping: CInt
    /// Called on the thread.
    private let changed: (AddressChange) -> Void

    /// Looks for the first time. `changed` is called on the thread that `start` makes. Closes `stopping` in the end, but not
    /// when it throws `IOError`.
    init(
        usesNetlink: Bool, timing: AddressWatch.Timing, stopping: CInt,
        changed: @escaping @Sendable (AddressChange) -> Void
    ) throws(IOError) {
        self.usesNetlink = usesNetlink
        self.stopping = stopping
        self.changed = changed
        // First the socket, so that nothing happens between the look and the first message.
        self.socket = usesNetlink ? try? NetlinkSocket(groups: Self.groups) : nil
        self.watch = AddressWatch(state: try NetworkState.current(), timing: timing, at: Self.now)
    }

    /// Hands this object to a thread of its own, which ends when `stopping` is readable. Nobody else may use it then. Throws
    /// `IOError`.
    func start() throws(IOError) {
        try DetachedThread.start { self.run() }
    }

    deinit {
        close(self.stopping)
    }

    /// Goes on while the machine sleeps, which `NIODeadline.now()` does not.
    private static var now: NIODeadline {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return .uptimeNanoseconds(UInt64(clamping: time.tv_sec) * 1_000_000_000 + UInt64(clamping: time.tv_nsec))
    }

    private func run() {
        while true {
            let wait = self.watch.wait(isTold: self.socket != nil, at: Self.now)
            if self.waitForNews(wait) { return }
            let hasNews = self.readNews()
            let now = Self.now
            self.watch.woke(hasNews: hasNews, at: now)
            if self.watch.isDue(isTold: self.socket != nil, at: now) { self.look() }
        }
    }

    /// Returns whether the thread is to end.
    private func waitForNews(_ wait: TimeAmount) -> Bool {
        var descriptors = [
            pollfd(fd: self.stopping, events: Int16(POLLIN), revents: 0),
            // Of a burst one message is enough to know; the rest may wait in the kernel. -1 is ignored.
            pollfd(fd: self.watch.isInBurst ? -1 : self.socket?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        // Rounded up: a little too early would be once more for nothing.
        let milliseconds = CInt(clamping: (wait.nanoseconds + 999_999) / 1_000_000)
        // An error is EINTR, and no news.
        return poll(&descriptors, nfds_t(descriptors.count), milliseconds) > 0 && descriptors[0].revents != 0
    }

    private func readNews() -> Bool {
        switch self.socket?.drain() {
        case nil, .nothing?: return false
        case .changed?: return true
        case .lost?:
            self.socket = nil
            return true
        }
    }

    private func look() {
        if self.usesNetlink, self.socket == nil {
            self.socket = try? NetlinkSocket(groups: Self.groups)
        }
        do {
            let change = self.watch.found(try NetworkState.current(), at: Self.now)
            if let change { self.changed(change) }
        } catch {
            self.watch.lookFailed(at: Self.now)
        }
    }
}

@available(*, unavailable)
extension AddressWatcher: Sendable {}
