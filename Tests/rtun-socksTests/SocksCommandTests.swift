import ArgumentParser
import Testing

@testable import rtun_socks

@Suite struct `rtun-socks command line` {
    @Test func `the shortest form has sane defaults`() throws {
        let command = try SocksCommand.parse(["https://rtun.example.com:8888"])
        #expect(try command.proxy.places().map(\.description) == ["127.0.0.1:2080"])
        #expect(!command.proxy.announcesClients)
        #expect(!command.proxy.credentials.isRequired)
        #expect(command.proxy.maximumConnections == 4096)
        #expect(try command.agents.pattern().description == ".*")
        #expect(!command.agents.list)
        #expect(command.peers.congestion == .bbr)
    }

    @Test func `everything can be given`() throws {
        let command = try SocksCommand.parse([
            "--listen", "[::]:0", "quic://rtun.example.com", "--listen", "3128", "--listen", "unix:/run/p.sock",
            "--http-forwarded", "--auth", "a:b:c", "--auth", "d:e", "--agent", "o.*",
            "--max-connections", "7", "--list-agents", "--congestion", "cubic",
        ])
        #expect(
            try command.proxy.places().map(\.description) == ["[::]:0", "127.0.0.1:3128", "unix:/run/p.sock"])
        #expect(command.proxy.announcesClients)
        #expect(command.proxy.credentials.accept(user: Array("a".utf8), password: Array("b:c".utf8)))
        #expect(command.proxy.credentials.accept(user: Array("d".utf8), password: Array("e".utf8)))
        #expect(command.proxy.maximumConnections == 7)
        #expect(command.agents.list)
        #expect(command.peers.congestion == .cubic)
    }

    @Test(arguments: [
        [], ["--auth", "nobody"], ["--auth", ":x"], ["--auth", "x:"], ["--listen", "2080:x"], ["--agent", "a("],
        ["--max-connections", "0"], ["--congestion", "reno"], ["--listen", "127.0.0.1:65536"],
        ["--listen", "unix:"], ["--listen", "2080", "--listen", "127.0.0.1:2080"],
        ["--listen", "unix:/a", "--listen", "unix:/a"],
    ])
    func `mistakes are refused with exit code 64`(arguments: [String]) {
        let url = arguments.isEmpty ? ["ftp://example.com"] : ["https://example.com"]
        let error = #expect(throws: (any Error).self) { try SocksCommand.parse(arguments + url) }
        #expect(error.map { SocksCommand.exitCode(for: $0) } == .validationFailure)
    }
}
