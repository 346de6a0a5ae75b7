import LibC
import NIOCore
import UDP

/// A thread that watches this machine's addresses: sleeps until the kernel says that something has happened (``NetworkNews``),
/// or where it does not say so, looks every few seconds.
///
/// A thread and not a channel of some event loop, because none of those lives as long as the process, and because looking
/// takes longer than datagrams should wait on a machine with many interfaces.
final class AddressWatcher {
    private let listens: Bool
    private var news: NetworkNews?
    private var watch: AddressWatch
    /// The owner's: readable when the thread is to end.
    private let stopping: WakeDescriptor
    /// Called on the thread.
    private let changed: (AddressChange) -> Void

    /// Looks for the first time. `changed` is called on the thread that `start` makes. Closes `stopping` in the end, but not
    /// when it throws `IOError`.
    init(
        listens: Bool, timing: AddressWatch.Timing, stopping: WakeDescriptor,
        changed: @escaping @Sendable (AddressChange) -> Void
    ) throws(IOError) {
        self.listens = listens
        self.stopping = stopping
        self.changed = changed
        // First this, so that nothing happens between the look and the first message.
        self.news = listens ? NetworkNews.listen() : nil
        self.watch = AddressWatch(state: try NetworkState.current(), timing: timing, at: Self.now)
    }

    /// Hands this object to a thread of its own, which ends when `stopping` is readable. Nobody else may use it then. Throws
    /// `IOError`.
    func start() throws(IOError) {
        try DetachedThread.start { self.run() }
    }

    deinit {
        self.stopping.close()
    }

    /// Goes on while the machine sleeps, which `NIODeadline.now()` does not.
    private static var now: NIODeadline {
        let (seconds, attoseconds) = Self.start.duration(to: .now).components
        return .uptimeNanoseconds(UInt64(clamping: seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000))
    }

    private static let start = ContinuousClock.now

    private func run() {
        while true {
            let wait = self.watch.wait(isTold: self.news != nil, at: Self.now)
            if self.waitForNews(wait) { return }
            let hasNews = self.readNews()
            let now = Self.now
            self.watch.woke(hasNews: hasNews, at: now)
            if self.watch.isDue(isTold: self.news != nil, at: now) { self.look() }
        }
    }

    /// Returns whether the thread is to end.
    private func waitForNews(_ wait: TimeAmount) -> Bool {
        var descriptors = [
            pollfd(fd: self.stopping.readable, events: Int16(POLLIN), revents: 0),
            // Of a burst one message is enough to know; the rest may wait in the kernel. -1 is ignored.
            pollfd(fd: self.watch.isInBurst ? -1 : self.news?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        // Rounded up: a little too early would be once more for nothing.
        let milliseconds = CInt(clamping: (wait.nanoseconds + 999_999) / 1_000_000)
        // An error is EINTR, and no news.
        return poll(&descriptors, nfds_t(descriptors.count), milliseconds) > 0 && descriptors[0].revents != 0
    }

    private func readNews() -> Bool {
        switch self.news?.drain() {
        case nil, .nothing?: return false
        case .changed?: return true
        case .lost?:
            self.news = nil
            return true
        }
    }

    private func look() {
        if self.listens, self.news == nil { self.news = NetworkNews.listen() }
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
