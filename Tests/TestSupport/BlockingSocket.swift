import Foundation
import Glibc

/// What went wrong on a socket of the tests.
package struct SocketFailure: Error, CustomStringConvertible, Equatable {
    package let operation: String
    package let number: Int32
    package var description: String { "\(self.operation): \(String(cString: strerror(self.number)))" }
    /// The other side sent a reset.
    package var isReset: Bool { self.number == ECONNRESET || self.number == EPIPE }
}

/// A plain blocking TCP socket: what the tests use as the far ends of the traffic, so that each step (send, stop reading,
/// shut down, reset) happens exactly when the test says so. Every operation fails after ``timeout`` instead of hanging.
package final class BlockingSocket: Sendable {
    /// Longest wait of one operation, in seconds.
    package static let timeout = 20

    private let descriptor: Int32

    package init(takingOwnership descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: Self.timeout, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { Glibc.close(self.descriptor) }

    /// Connects to a loopback address, "127.0.0.1" or "::1".
    package convenience init(connectingTo host: String, port: Int) throws {
        let family = host.contains(":") ? AF_INET6 : AF_INET
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure(operation: "socket", number: errno) }
        self.init(takingOwnership: descriptor)
        let result = Self.withAddress(host, port: port) { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 else { throw SocketFailure(operation: "connect to \(host):\(port)", number: errno) }
    }

    static func withAddress<R>(_ host: String, port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        if host.contains(":") {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = in_port_t(port).bigEndian
            inet_pton(AF_INET6, host, &address.sin6_addr)
            return withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        inet_pton(AF_INET, host, &address.sin_addr)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Sends all bytes.
    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw SocketFailure(operation: "send", number: errno) }
            sent += count
        }
    }

    package func send(_ text: String) throws { try self.send(Array(text.utf8)) }

    /// Sends as much as the kernel takes without waiting; the count taken.
    package func sendWithoutWaiting(_ bytes: [UInt8]) throws -> Int {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = bytes.withUnsafeBytes { Glibc.send(self.descriptor, $0.baseAddress, $0.count, flags) }
        if count < 0, errno == EAGAIN { return 0 }
        guard count >= 0 else { throw SocketFailure(operation: "send", number: errno) }
        return count
    }

    /// The next bytes, 1 to `limit` of them; empty at the end of the stream.
    package func receive(_ limit: Int = 65536) throws -> [UInt8] {
        var failed: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let received = recv(self.descriptor, buffer.baseAddress, limit, 0)
            if received < 0 { failed = errno }
            count = max(0, received)
        }
        guard failed == 0 else { throw SocketFailure(operation: "receive", number: failed) }
        return bytes
    }

    /// Exactly `count` bytes; fails with ENODATA when the stream ends before.
    package func receive(exactly count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try self.receive(count - bytes.count)
            guard !more.isEmpty else { throw SocketFailure(operation: "receive \(count) bytes", number: ENODATA) }
            bytes += more
        }
        return bytes
    }

    /// Everything up to the end of the stream.
    package func receiveToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let more = try self.receive()
            if more.isEmpty { return bytes }
            bytes += more
        }
    }

    /// Ends the sending direction (FIN).
    package func shutdownSending() { shutdown(self.descriptor, Int32(SHUT_WR)) }

    /// Everything up to the end of the stream or a failure, and that failure.
    package func receiveToFailure() -> (count: Int, failure: SocketFailure?) {
        var count = 0
        while true {
            do {
                let more = try self.receive()
                if more.isEmpty { return (count, nil) }
                count += more.count
            } catch {
                return (count, error as? SocketFailure)
            }
        }
    }

    /// Waits until the other end's kernel has acknowledged everything that was sent.
    package func waitUntilDelivered() throws {
        let clock = ContinuousClock()
        let limit = clock.now + .seconds(Self.timeout)
        var queued: Int32 = 1
        while clock.now < limit {
            // SIOCOUTQ (tcp(7)), which has the number of TIOCOUTQ.
            guard ioctl(self.descriptor, UInt(TIOCOUTQ), &queued) == 0 else {
                throw SocketFailure(operation: "SIOCOUTQ", number: errno)
            }
            if queued == 0 { return }
            usleep(1000)
        }
        throw SocketFailure(operation: "wait for delivery", number: ETIMEDOUT)
    }

    /// Ends both directions at once with a reset (RST).
    package func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        // connect to AF_UNSPEC sends the reset now and leaves closing to deinit.
        var unspecified = sockaddr()
        unspecified.sa_family = sa_family_t(AF_UNSPEC)
        _ = Glibc.connect(self.descriptor, &unspecified, socklen_t(MemoryLayout<sockaddr>.size))
    }

    /// Sends one datagram from a UDP socket to a port on 127.0.0.1; the count sent, or -1.
    package static func sendDatagram(_ bytes: [UInt8], from descriptor: Int32, toPort port: Int) -> Int {
        self.withAddress("127.0.0.1", port: port) { address, length in
            bytes.withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, address, length) }
        }
    }
}

/// Runs blocking work on a thread of its own, so that Swift's cooperative threads stay free.
package func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: Result { try body() }) }
        thread.stackSize = 1 << 19
        thread.start()
    }
}
