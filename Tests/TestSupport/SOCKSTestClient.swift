/// Just enough of a SOCKS client to ask for exactly what a test wants and see the very reply bytes.
/// Independent of the product's own SOCKS module on purpose.
package enum SOCKSTestClient {
    /// An address type of RFC 1928 §5 with its value.
    package enum Address: Sendable {
        case ipv4([UInt8])
        case ipv6([UInt8])
        case name(String)

        package static let loopback = Address.ipv4([127, 0, 0, 1])
        package static let loopback6 = Address.ipv6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])

        fileprivate var bytes: [UInt8] {
            switch self {
            case .ipv4(let bytes): [1] + bytes
            case .ipv6(let bytes): [4] + bytes
            case .name(let name): [3, UInt8(truncatingIfNeeded: name.utf8.count)] + Array(name.utf8)
            }
        }
    }

    /// A SOCKS5 request without authentication: the reply code (0: succeeded) and the connection.
    ///
    /// - Parameter command: 1 CONNECT, 2 BIND, 3 UDP ASSOCIATE.
    package static func request5(
        proxy: Int, _ address: Address, port: Int, command: UInt8 = 1
    ) async throws -> (reply: UInt8, connection: BlockingSocket) {
        try await onThread {
            let connection = try BlockingSocket(connectingTo: "127.0.0.1", port: proxy)
            try connection.send([5, 1, 0])
            let method = try connection.receive(exactly: 2)
            guard method == [5, 0] else { throw Unexpected(bytes: method) }
            try connection.send([5, command, 0] + address.bytes + Self.portBytes(port))
            let head = try connection.receive(exactly: 4)
            switch head[3] {
            case 1: _ = try connection.receive(exactly: 6)
            case 4: _ = try connection.receive(exactly: 18)
            default: throw Unexpected(bytes: head)
            }
            guard head[0] == 5, head[2] == 0 else { throw Unexpected(bytes: head) }
            return (head[1], connection)
        }
    }

    /// Asks for a UDP association: the reply code, and where the relay is.
    ///
    /// - Parameters:
    ///   - host: where the proxy is.
    ///   - port: the one that the client says it will send from.
    package static func associate(
        host: String = "127.0.0.1", proxy: Int, _ address: Address = .ipv4([0, 0, 0, 0]), port: Int = 0
    ) async throws -> (reply: UInt8, relay: (address: [UInt8], port: Int), connection: BlockingSocket) {
        try await onThread {
            let connection = try BlockingSocket(connectingTo: host, port: proxy)
            try connection.send([5, 1, 0])
            let method = try connection.receive(exactly: 2)
            guard method == [5, 0] else { throw Unexpected(bytes: method) }
            try connection.send([5, 3, 0] + address.bytes + Self.portBytes(port))
            let head = try connection.receive(exactly: 4)
            guard head[0] == 5, head[2] == 0, head[3] == 1 || head[3] == 4 else { throw Unexpected(bytes: head) }
            let relay = try connection.receive(exactly: head[3] == 1 ? 4 : 16)
            let port = try connection.receive(exactly: 2)
            return (head[1], (relay, Int(port[0]) << 8 | Int(port[1])), connection)
        }
    }

    /// What a client sends to the relay, or gets from it.
    package static func datagram(_ address: Address, port: Int, _ payload: [UInt8], fragment: UInt8 = 0) -> [UInt8] {
        [0, 0, fragment] + address.bytes + Self.portBytes(port) + payload
    }

    /// A connection through the proxy that has to succeed.
    package static func connect5(
        proxy: Int, _ address: Address = .loopback, port: Int
    ) async throws -> BlockingSocket {
        let (reply, connection) = try await Self.request5(proxy: proxy, address, port: port)
        guard reply == 0 else { throw Unexpected(bytes: [reply]) }
        return connection
    }

    /// A SOCKS4 request, or SOCKS4a when `name` is given: the reply code (90: granted) and the connection.
    package static func request4(
        proxy: Int, address: [UInt8] = [0, 0, 0, 1], name: String? = nil, port: Int, command: UInt8 = 1
    ) async throws -> (reply: UInt8, connection: BlockingSocket) {
        try await onThread {
            let connection = try BlockingSocket(connectingTo: "127.0.0.1", port: proxy)
            var request: [UInt8] = [4, command] + Self.portBytes(port) + address + Array("user".utf8) + [0]
            if let name { request += Array(name.utf8) + [0] }
            try connection.send(request)
            let reply = try connection.receive(exactly: 8)
            guard reply[0] == 0 else { throw Unexpected(bytes: reply) }
            return (reply[1], connection)
        }
    }

    private static func portBytes(_ port: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: port >> 8), UInt8(truncatingIfNeeded: port)]
    }

    /// The proxy answered with bytes that the protocol does not allow here, or with a refusal.
    package struct Unexpected: Error, CustomStringConvertible {
        package let bytes: [UInt8]
        package var description: String { "unexpected answer of the proxy: \(self.bytes)" }
    }
}
