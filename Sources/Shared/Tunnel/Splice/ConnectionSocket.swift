import LibC
package import NIOCore

/// The socket below a TCP channel, for what NIO has no words for. Used on the channel's event loop only, where it is also
/// closed.
package protocol SplicedSocket {
    /// Whether closing it, be it at the end of the process, sends RST instead of FIN and discards what is queued
    /// (`SO_LINGER` with a time of 0, socket(7)).
    func setResetsOnClose(_ resets: Bool)
    /// Has the kernel ask an end that is silent whether it is still there.
    func enableKeepalive()
    /// Bytes that were written and that the other end's kernel has not acknowledged; FIN counts as one.
    var undeliveredBytes: Int { get }
    /// What the kernel knows of the other end's acknowledgements; nil when it cannot be asked.
    var acknowledgements: TCPAcknowledgements? { get }
}

/// The real one. On a channel that is closed everything is as if nothing had to be waited for.
package struct ConnectionSocket: SplicedSocket {
    private let channel: any Channel

    package init(_ channel: any Channel) { self.channel = channel }

    /// Whether closing it, be it at the end of the process, sends RST instead of FIN (`SO_LINGER`, socket(7)).
    package func setResetsOnClose(_ resets: Bool) {
        var option = linger(l_onoff: resets ? 1 : 0, l_linger: 0)
        self.withDescriptor {
            _ = setsockopt($0, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
    }

    /// `SO_KEEPALIVE` (tcp(7)) after 60 s, and every 15 s then: one that has vanished is noticed after 105 s.
    package func enableKeepalive() {
        self.withDescriptor { descriptor in
            let options = [
                (SOL_SOCKET, SO_KEEPALIVE, 1), (CInt(IPPROTO_TCP), TCPOption.keepaliveIdle, 60),
                (CInt(IPPROTO_TCP), TCP_KEEPINTVL, 15), (CInt(IPPROTO_TCP), TCP_KEEPCNT, 3),
            ]
            for (level, name, value) in options {
                var value = CInt(value)
                _ = setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size))
            }
        }
    }

    package var undeliveredBytes: Int {
        let buffered = (try? self.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        var queued = 0
        self.withDescriptor { queued = TCPKernel.unacknowledgedBytes(descriptor: $0) }
        return buffered + queued
    }

    package var acknowledgements: TCPAcknowledgements? {
        var look: TCPAcknowledgements?
        self.withDescriptor { look = TCPKernel.acknowledgements(descriptor: $0) }
        return look
    }

    private func withDescriptor(_ body: (CInt) -> Void) {
        guard self.channel.isActive else { return }
        try? self.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: CInt.self, body)
    }
}

/// What a look at a TCP connection says of the other end's acknowledgements.
package struct TCPAcknowledgements: Hashable, Sendable {
    /// Segments on their way.
    var unacknowledgedSegments: Int
    /// Questions in a row, whether there is room again or somebody at all, without an answer.
    var unansweredProbes: Int
    /// How long ago the last acknowledgement came.
    var sinceLast: TimeAmount
}

/// Decides from repeated looks whether the other end of a connection has vanished while data was on its way to it.
///
/// `TCP_USER_TIMEOUT` does not do: Linux has it end connections whose other end is alive and merely reads nothing, since it
/// counts the time with a closed window although each probe is answered (`tcp_probe_timer`).
struct AcknowledgementWatch {
    /// Silence that is taken for the end.
    static let limit = TimeAmount.seconds(90)

    private var waitingSince: NIODeadline?

    /// Takes a look; true when the other end has acknowledged nothing for ``limit``.
    mutating func hasVanished(_ look: TCPAcknowledgements, at now: NIODeadline) -> Bool {
        // A single probe is on its way often enough while the other end takes nothing; each is answered in time.
        guard look.unacknowledgedSegments > 0 || look.unansweredProbes > 1 else {
            self.waitingSince = nil
            return false
        }
        guard let since = self.waitingSince, now - since <= look.sinceLast else {
            self.waitingSince = now
            return false
        }
        return now - since >= Self.limit
    }
}

/// Decides from repeated looks whether something that is to shrink to nothing stands still.
struct StallWatch {
    /// Standstill that is taken for the end.
    static let limit = TimeAmount.seconds(30)

    private var least = Int.max
    private var since: NIODeadline

    init(at now: NIODeadline) { self.since = now }

    /// Takes a look; true when what is left has not become less for ``limit``.
    mutating func isStalled(left: Int, at now: NIODeadline) -> Bool {
        if left < self.least {
            self.least = left
            self.since = now
        }
        return now - self.since >= Self.limit
    }
}
