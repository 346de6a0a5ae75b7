import BenchSupport
import CLinuxBench
import Glibc

/// An IPv4 address and a port.
struct Endpoint {
    let host: String
    let port: UInt16

    /// HOST:PORT, the host an IPv4 address; ends the program with 64 otherwise.
    init(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var address = in_addr()
        guard parts.count == 2, inet_pton(AF_INET, String(parts[0]), &address) == 1, let port = UInt16(parts[1]) else {
            fail("an address is like 127.0.0.1:5000, not \"\(text)\"", code: 64)
        }
        self.host = String(parts[0])
        self.port = port
    }

    var address: in_addr {
        var address = in_addr()
        inet_pton(AF_INET, self.host, &address)
        return address
    }

    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var value = sockaddr_in()
        value.sin_family = sa_family_t(AF_INET)
        value.sin_port = self.port.bigEndian
        value.sin_addr = self.address
        return withUnsafePointer(to: &value) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}

/// Why a connection failed.
struct SocketError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
    /// With the words of the last system call.
    init(failed what: String) { self.description = "\(what): \(systemError())" }
}

/// A blocking TCP socket; `close()` ends it.
struct Socket: Sendable {
    let descriptor: Int32

    static func option(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sets TCP_CONGESTION; without the algorithm there is nothing to measure, so that it ends the program.
    static func setCongestion(_ descriptor: Int32, _ name: String?) {
        guard let name else { return }
        guard setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, name, socklen_t(name.utf8.count)) == 0 else {
            fail(
                "this kernel does not have the congestion control \"\(name)\" (modprobe tcp_\(name)?): \(systemError())"
            )
        }
    }

    private static func stream() -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { fail("cannot make a socket: \(systemError())") }
        self.option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        return descriptor
    }

    static func connect(to endpoint: Endpoint, congestion: String?) throws(SocketError) -> Socket {
        let descriptor = Self.stream()
        Self.setCongestion(descriptor, congestion)
        let result = endpoint.withSocketAddress { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 else {
            let error = SocketError(failed: "cannot connect to \(endpoint.host):\(endpoint.port)")
            Glibc.close(descriptor)
            throw error
        }
        return Socket(descriptor: descriptor)
    }

    static func listen(on endpoint: Endpoint, congestion: String?) -> Socket {
        let descriptor = Self.stream()
        Self.setCongestion(descriptor, congestion)
        Self.option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        let bound = endpoint.withSocketAddress { bind(descriptor, $0, $1) }
        guard bound == 0, Glibc.listen(descriptor, 4096) == 0 else {
            fail("cannot listen on \(endpoint.host):\(endpoint.port): \(systemError())")
        }
        return Socket(descriptor: descriptor)
    }

    /// The port that it has.
    var port: UInt16 {
        var value = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &value) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(self.descriptor, $0, &size) }
        }
        return UInt16(bigEndian: value.sin_port)
    }

    func close() { Glibc.close(self.descriptor) }

    /// Wakes whoever waits for it.
    func shutDown() { shutdown(self.descriptor, Int32(SHUT_RDWR)) }

    /// What came, at least a byte; 0 at the end, -1 on errors.
    func receive(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        recv(self.descriptor, buffer.baseAddress!, buffer.count, 0)
    }

    /// The same, thrown away by the kernel without copying it.
    func discard(_ count: Int) -> Int { recv(self.descriptor, nil, count, Int32(MSG_TRUNC)) }

    func sendAll(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = send(self.descriptor, rest.baseAddress!, rest.count, Int32(MSG_NOSIGNAL))
            guard count > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return true
    }

    func sendAll(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { self.sendAll($0) } }

    func receiveAll(_ buffer: UnsafeMutableRawBufferPointer) -> Bool {
        var rest = buffer
        while !rest.isEmpty {
            let count = self.receive(rest)
            guard count > 0 else { return false }
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
        }
        return true
    }

    func receiveAll(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return bytes.withUnsafeMutableBytes { self.receiveAll($0) } ? bytes : nil
    }
}

/// How the client gets to the sink: straight, or through a SOCKS 5 proxy without login (RFC 1928).
struct Way: Sendable {
    private let proxy: Endpoint?
    private let target: Endpoint
    private let congestion: String?

    init(via: String, target: Endpoint, congestion: String?) {
        if via == "direct" {
            self.proxy = nil
        } else if via.hasPrefix("socks5://") {
            self.proxy = Endpoint(via.dropFirst("socks5://".count))
        } else {
            fail("--via is \"direct\" or socks5://HOST:PORT, not \"\(via)\"", code: 64)
        }
        self.target = target
        self.congestion = congestion
    }

    /// A connection to the sink on which the first byte has been said.
    func connect(for purpose: UInt8) throws(SocketError) -> Socket {
        let socket = try Socket.connect(to: self.proxy ?? self.target, congestion: self.congestion)
        do throws(SocketError) {
            if self.proxy != nil { try self.ask(socket) }
            guard socket.sendAll([purpose]) else { throw SocketError(failed: "the connection has ended at once") }
            return socket
        } catch {
            socket.close()
            throw error
        }
    }

    private func ask(_ socket: Socket) throws(SocketError) {
        guard socket.sendAll([5, 1, 0]), let method = socket.receiveAll(2) else {
            throw SocketError("the proxy has closed the connection")
        }
        guard method == [5, 0] else { throw SocketError("the proxy wants a login") }
        let address = withUnsafeBytes(of: self.target.address.s_addr, Array.init)
        let port = withUnsafeBytes(of: self.target.port.bigEndian, Array.init)
        guard socket.sendAll([5, 1, 0, 1] + address + port), let reply = socket.receiveAll(4) else {
            throw SocketError("the proxy has closed the connection")
        }
        guard reply[1] == 0 else { throw SocketError("the proxy answers with error \(reply[1])") }
        let rest: Int
        switch reply[3] {
        case 1: rest = 4
        case 4: rest = 16
        case 3: rest = Int(socket.receiveAll(1)?[0] ?? 0)
        default: throw SocketError("the proxy answers with address type \(reply[3])")
        }
        guard socket.receiveAll(rest + 2) != nil else { throw SocketError("the proxy has closed the connection") }
    }
}
