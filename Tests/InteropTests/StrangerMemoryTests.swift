import Foundation
import TestSupport
import Testing

/// What somebody without the secret costs the server, who finishes all handshakes that he can and then says nothing.
///
/// With `RTUN_BENCHMARK=1` it is printed.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct StrangerMemoryTests {
    /// As many as may be open of one address, less some.
    private static let counts = (first: 60, then: 160)
    /// For each, in bytes: sockets and timers in the kernel are not in it.
    private static let bound = 64 << 10

    @Test(arguments: SignalScheme.allCases, ["tls", "hello"])
    func `a client that has not proved itself costs no more than 64 KiB`(
        scheme: SignalScheme, how: String
    ) async throws {
        let cluster = try await Cluster(scheme)
        let (first, then) = Self.counts
        let clients = try RunningProgram(
            Interpreter.python,
            [
                Interpreter.script("silent_clients.py"), cluster.url, cluster.certificates.authority, how, "\(first)",
                "\(then)",
            ])
        // The first ones have code and tables loaded that all have together.
        _ = try await clients.line(within: .seconds(20), "the first connections") { $0 == "open \(first)" }
        let before = try cluster.server.residentBytes().now
        try clients.write("\n")
        _ = try await clients.line(within: .seconds(20), "all connections") {
            $0.hasPrefix("open ") && $0 != "open \(first)"
        }
        let after = try cluster.server.residentBytes().now
        #expect(clients.output.lines.last == "open \(first + then)", "the server keeps all of them")
        let each = (after - before) / then
        if ProcessInfo.processInfo.environment["RTUN_BENCHMARK"] != nil {
            print("\(scheme), \(how): \(each) bytes for each connection")
        }
        // Less than the keys of a connection take would mean that nothing has been measured.
        #expect(4 << 10...Self.bound ~= each, "\(each) bytes for each")
        await stopAll([cluster.server, clients])
    }
}
