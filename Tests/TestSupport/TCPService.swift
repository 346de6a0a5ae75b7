import Foundation
import Glibc

/// A TCP server on loopback for the far end of a tunnel: each connection is handled on its own thread by a closure.
package final class TCPService: Sendable {
    /// The port it listens on.
    package let port: Int
    /// The address it listens on.
    package let host: String
    private let descriptor: Int32

    /// - Parameter host: "127.0.0.1" or "::1".
    package init(host: String = "127.0.0.1", handle: @escaping @Sendable (BlockingSocket) throws -> Void) throws {
        let family = host.contains(":") ? AF_INET6 : AF_INET
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure(operation: "socket", number: errno) }
        let bound = BlockingSocket.withAddress(host, port: 0) { bind(descriptor, $0, $1) }
        guard bound == 0, listen(descriptor, 1024) == 0 else {
            let failure = SocketFailure(operation: "listen on \(host)", number: errno)
            Glibc.close(descriptor)
            throw failure
        }
        self.descriptor = descriptor
        self.host = host
        self.port = Self.localPort(of: descriptor)
        let accepting = Thread {
            // Closed where it is used, and nowhere else: its number would be somebody else's by then.
            defer { Glibc.close(descriptor) }
            while true {
                let accepted = accept(descriptor, nil, nil)
                guard accepted >= 0 else {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    return
                }
                // Programs that other tests start must not get it.
                _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
                let connection = BlockingSocket(takingOwnership: accepted)
                // A connection that ends early is the test's business, which sees it from its own side.
                let thread = Thread { try? handle(connection) }
                thread.stackSize = 1 << 19
                thread.start()
            }
        }
        accepting.start()
    }

    deinit {
        // Ends the wait for a connection, and the thread.
        shutdown(self.descriptor, Int32(SHUT_RDWR))
    }

    static func localPort(of descriptor: Int32) -> Int {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard getsockname(descriptor, address, &length) == 0 else { return 0 }
                // The port stands at the same place for both families.
                return UnsafeRawPointer(address).loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian.asInt
            }
        }
    }

    /// Sends back what it gets, and ends its side when the peer ends its own.
    package static func echo(host: String = "127.0.0.1") throws -> TCPService {
        try TCPService(host: host) { connection in
            while true {
                let bytes = try connection.receive()
                if bytes.isEmpty { break }
                try connection.send(bytes)
            }
            connection.shutdownSending()
            _ = try connection.receiveToEnd()
        }
    }

    /// A port on loopback on which nobody listens (held by a bound socket for as long as the value lives).
    package static func closedPort() throws -> (port: Int, holder: BlockingSocket) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketFailure(operation: "socket", number: errno) }
        let holder = BlockingSocket(takingOwnership: descriptor)
        guard BlockingSocket.withAddress("127.0.0.1", port: 0, { bind(descriptor, $0, $1) }) == 0 else {
            throw SocketFailure(operation: "bind", number: errno)
        }
        return (Self.localPort(of: descriptor), holder)
    }
}

extension UInt16 {
    fileprivate var asInt: Int { Int(self) }
}
