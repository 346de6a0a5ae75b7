import CLinuxNetlink
import LibC
import NIOCore

/// A socket of rtnetlink(7). Belongs to one thread at a time.
final class NetlinkSocket {
    /// What has come.
    enum News {
        case nothing
        /// Something has changed; more than that is not read.
        case changed
        /// The socket is of no more use.
        case lost
    }

    /// Of the kernel, which sends at most 32 KiB at once (netlink(7), `NLMSG_GOODSIZE`).
    private static let bufferSize = 32 << 10
    /// Answers are read up to this size; a machine with 10 000 addresses has less.
    private static let maximumAnswer = 4 << 20

    let descriptor: CInt

    /// - Parameter groups: whose messages are wanted, `RTMGRP_…`; 0 to ask questions only.
    init(groups: CInt) throws(IOError) {
        let descriptor = socket(
            AF_NETLINK, CInt(SOCK_RAW.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue),
            NETLINK_ROUTE)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        self.descriptor = descriptor
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = UInt32(bitPattern: groups)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        // From here on `deinit` closes it.
        guard result == 0 else { throw IOError(errnoCode: errno, reason: "bind") }
    }

    deinit {
        close(self.descriptor)
    }

    /// Reads away what waits.
    func drain() -> News {
        var news = News.nothing
        var byte: UInt8 = 0
        while true {
            // Cut off: that it came is all that matters.
            if recv(self.descriptor, &byte, 1, CInt(MSG_DONTWAIT)) >= 0 {
                news = .changed
                continue
            }
            switch errno {
            case EINTR: continue
            // Messages were lost, which says the same as a message; the socket is well.
            case ENOBUFS: news = .changed
            case EAGAIN, EWOULDBLOCK: return news
            default: return .lost
            }
        }
    }

    /// Asks, and reads the answer up to its end: one message, or all of a list. The kernel answers before `send` or `recv`
    /// returns, so that this waits for nobody. Nil when there is no answer.
    func ask(_ request: ByteBuffer, isList: Bool) -> [NetlinkMessage]? {
        let sent = request.withUnsafeReadableBytes { send(self.descriptor, $0.baseAddress, $0.count, 0) }
        guard sent == request.readableBytes else { return nil }
        var messages: [NetlinkMessage] = []
        var size = 0
        while size < Self.maximumAnswer {
            var bytes = ByteBuffer()
            let count = bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.bufferSize) {
                max(0, recv(self.descriptor, $0.baseAddress, $0.count, CInt(MSG_DONTWAIT)))
            }
            guard count > 0 else { return nil }
            size += count
            while let message = NetlinkMessage(readingFrom: &bytes) {
                switch message.type {
                case NLMSG_ERROR: return nil
                case NLMSG_DONE: return messages
                default: messages.append(message)
                }
            }
            if !isList { return messages }
        }
        return nil
    }
}

@available(*, unavailable)
extension NetlinkSocket: Sendable {}
