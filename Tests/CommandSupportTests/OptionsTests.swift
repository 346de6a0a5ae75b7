import ArgumentParser
import Testing

@testable import CommandSupport

@Suite struct OptionsTests {
    @Test func `STUN servers and interfaces are repeatable`() throws {
        let options = try PeerOptions.parse([
            "--stun", "stun.example.org", "--stun", "[::1]:3479", "--p2p-interface", "eth0", "--p2p-interface", "wg0",
        ])
        #expect(
            options.stunServers == [HostPort(host: "stun.example.org", port: 3478), HostPort(host: "::1", port: 3479)])
        #expect(options.interfaces == ["eth0", "wg0"])
        #expect(options.pathChoice == .auto)
        #expect(options.spread == 256)
        #expect(options.congestion == .bbr)
    }

    @Test(arguments: [("auto", PeerOptions.PathChoice.auto), ("direct", .direct), ("bridge", .bridge)])
    func `the kinds of path are chosen by name`(text: String, choice: PeerOptions.PathChoice) throws {
        #expect(try PeerOptions.parse(["--p2p", text]).pathChoice == choice)
    }

    @Test(arguments: [("bbr", CongestionChoice.bbr), ("cubic", .cubic)])
    func `the congestion control is chosen by name`(text: String, choice: CongestionChoice) throws {
        #expect(try PeerOptions.parse(["--congestion", text]).congestion == choice)
    }

    @Test(arguments: [0, 1, 1024]) func `the spread is a number of sockets`(count: Int) throws {
        #expect(try PeerOptions.parse(["--p2p-spread", "\(count)"]).spread == count)
    }

    @Test(arguments: [
        (["--p2p", "x"], "expected auto, direct or bridge"),
        (["--p2p-spread", "1025"], "expected a number of sockets from 0 (off) to 1024"),
        (["--p2p-spread=-1"], "expected a number of sockets from 0 (off) to 1024"),
        (["--p2p-spread", "many"], "expected a number of sockets from 0 (off) to 1024"),
        (["--congestion", "reno"], "'reno' is invalid for '--congestion <algorithm>'"),
        (["--congestion", "reno"], "'bbr' and 'cubic'"),
        (["--congestion=CUBIC"], "'bbr' and 'cubic'"),
        (["--stun", "::1"], "write the IPv6 address"),
    ])
    func `a refused value is explained`(arguments: [String], words: String) {
        let error = #expect(throws: (any Error).self) { try PeerOptions.parse(arguments) }
        #expect(error.map { PeerOptions.message(for: $0).contains(words) } == true)
    }

    @Test func `a server's URL and the checking of its certificate are read`() throws {
        let options = try ServerConnectionOptions.parse([
            "quic://127.0.0.1:8888", "--quic-insecure", "--ca-cert", "ca.pem",
        ])
        #expect(options.url == "quic://127.0.0.1:8888")
        #expect(options.quicInsecure && !options.httpsInsecure)
        #expect(options.caCertificate == "ca.pem")
    }

    @Test func `the ready line keeps its fields in order and on one line`() {
        let line = ReadyLine(program: "rtun-agent", ["agent": "my agent\n", "instance": "00ff"])
        #expect(line.text == #"rtun-agent ready agent="my agent\n" instance=00ff"#)
    }
}
