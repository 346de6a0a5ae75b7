import Foundation
import Glibc

/// A plain blocking UDP socket on loopback: the far ends of a relay in the tests.
package final class DatagramSocket: Sendable {
    private let descriptor: Int32
    /// Where it is bound.
    package let port: Int
    private let isIPv6: Bool

    /// Opens a socket on "127.0.0.1" or "::1", port 0 for any; with `peer` it talks to that port there only.
    package init(_ host: String = "127.0.0.1", port: Int = 0, connectedTo peer: Int? = nil) throws {
        self.isIPv6 = host.contains(":")
        let descriptor = socket(
            self.isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure(operation: "socket", number: errno) }
        self.descriptor = descriptor
        var size: Int32 = 4 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
        var bound = -1
        let failure = BlockingSocket.withAddress(host, port: port) { address, length -> SocketFailure? in
            guard bind(descriptor, address, length) == 0 else {
                return SocketFailure(operation: "bind to \(host):\(port)", number: errno)
            }
            var name = sockaddr_storage()
            var nameLength = socklen_t(MemoryLayout<sockaddr_storage>.size)
            withUnsafeMutablePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &nameLength) }
            }
            bound = withUnsafeBytes(of: name) { Int($0[2]) << 8 | Int($0[3]) }
            return nil
        }
        self.port = bound
        if let failure {
            Glibc.close(descriptor)
            throw failure
        }
        if let peer {
            let result = BlockingSocket.withAddress(host, port: peer) { Glibc.connect(descriptor, $0, $1) }
            guard result == 0 else { throw SocketFailure(operation: "connect to \(host):\(peer)", number: errno) }
        }
    }

    deinit { Glibc.close(self.descriptor) }

    /// Sends a datagram to the connected peer.
    package func send(_ bytes: [UInt8]) throws {
        let count = bytes.withUnsafeBytes { Glibc.send(self.descriptor, $0.baseAddress, $0.count, 0) }
        guard count == bytes.count else { throw SocketFailure(operation: "send", number: errno) }
    }

    /// Sends a datagram to a port of a loopback address.
    package func send(_ bytes: [UInt8], to host: String = "127.0.0.1", port: Int) throws {
        let count = BlockingSocket.withAddress(host, port: port) { address, length in
            bytes.withUnsafeBytes { sendto(self.descriptor, $0.baseAddress, $0.count, 0, address, length) }
        }
        guard count == bytes.count else { throw SocketFailure(operation: "send", number: errno) }
    }

    /// The next datagram and the port that it came from, nil when none comes within `limit`.
    package func receiveWithSource(within limit: Duration = .seconds(10)) throws -> (bytes: [UInt8], port: Int)? {
        var poll = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Int32(limit / .milliseconds(1))) > 0 else { return nil }
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = withUnsafeMutablePointer(to: &from) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(self.descriptor, &buffer, buffer.count, 0, $0, &length)
            }
        }
        guard count >= 0 else { throw SocketFailure(operation: "receive", number: errno) }
        return (Array(buffer[..<count]), withUnsafeBytes(of: from) { Int($0[2]) << 8 | Int($0[3]) })
    }

    /// Sends a datagram to the connected peer until one comes back; nil when none does within `limit`.
    package func answer(to bytes: [UInt8], within limit: Duration) throws -> [UInt8]? {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            try self.send(bytes)
            if let answer = try self.receive(within: .milliseconds(300)) { return answer }
        }
        return nil
    }

    /// The next datagram, nil when none comes within `limit`.
    package func receive(within limit: Duration = .seconds(10)) throws -> [UInt8]? {
        var poll = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Int32(limit / .milliseconds(1))) > 0 else { return nil }
        var failed: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            let received = recv(self.descriptor, buffer.baseAddress, 65_536, 0)
            if received < 0 { failed = errno }
            count = max(0, received)
        }
        guard failed == 0 else { throw SocketFailure(operation: "receive", number: failed) }
        return bytes
    }

    /// Sends back all that comes, until the socket is shut down.
    fileprivate func echo() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var from = sockaddr_storage()
        while true {
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = self.descriptor
            let isOpen = withUnsafeMutablePointer(to: &from) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    let count = recvfrom(descriptor, &buffer, buffer.count, 0, address, &length)
                    // A shut-down socket gives nothing, from nobody.
                    guard count > 0 || count == 0 && length > 0 else { return false }
                    _ = sendto(descriptor, buffer, count, 0, address, length)
                    return true
                }
            }
            if !isOpen { return }
        }
    }

    fileprivate func shutDown() { shutdown(self.descriptor, Int32(SHUT_RDWR)) }
}

/// A UDP service on loopback that sends back each datagram to where it came from.
package final class UDPEchoService: Sendable {
    private let socket: DatagramSocket
    package var port: Int { self.socket.port }

    package init(_ host: String = "127.0.0.1", port: Int = 0) throws {
        self.socket = try DatagramSocket(host, port: port)
        let socket = self.socket
        let thread = Thread { socket.echo() }
        thread.stackSize = 1 << 19
        thread.start()
    }

    deinit { self.socket.shutDown() }
}
