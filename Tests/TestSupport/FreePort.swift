import Glibc

/// Ports on 127.0.0.1 for programs that have to be told one.
package enum FreePort {
    /// Below those that the kernel gives to whoever asks for any (on Linux from 32768 on), so that nobody comes by one
    /// before the program that it is meant for.
    private static let range = 20_000..<32_768

    /// A port that nobody has, neither for TCP nor for UDP.
    package static func next() throws -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: Self.range)
            if Self.isFree(port, Int32(SOCK_STREAM.rawValue)), Self.isFree(port, Int32(SOCK_DGRAM.rawValue)) {
                return port
            }
        }
        throw SocketFailure(operation: "find a free port", number: EADDRINUSE)
    }

    private static func isFree(_ port: Int, _ type: Int32) -> Bool {
        let descriptor = socket(AF_INET, type | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        let result = BlockingSocket.withAddress("127.0.0.1", port: port) { bind(descriptor, $0, $1) }
        return result == 0
    }
}
