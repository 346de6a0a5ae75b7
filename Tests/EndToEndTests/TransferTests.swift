import Crypto
import Foundation
import TestSupport
import Testing

/// Bulk, concurrency and memory: the real programs between a real client and a real target.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct TransferTests {
    static let megabyte = 1 << 20

    @Test(arguments: SignalScheme.allCases)
    func `200 MB come down and go up through nginx and curl unchanged`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let web = try await WebServer()
        let folder = cluster.folder
        try await ShellCommand.run(
            """
            set -e
            head -c 200M /dev/urandom > '\(web.root)/big.bin'
            curl -sS --fail --socks5-hostname 127.0.0.1:\(socks.port) \
                -o '\(folder.file("down.bin"))' http://localhost:\(web.port)/big.bin
            curl -sS --fail --socks5-hostname 127.0.0.1:\(socks.port) \
                -T '\(folder.file("down.bin"))' http://localhost:\(web.port)/upload/up.bin
            """, within: .seconds(170))
        let sums = try await ShellCommand.run(
            "sha256sum '\(web.root)/big.bin' '\(folder.file("down.bin"))' '\(web.root)/upload/up.bin' | cut -d' ' -f1")
        let distinct = Set(sums.split(separator: "\n"))
        #expect(distinct.count == 1)
        #expect(socks.program.errors.text.contains("event=peer.connected"))
        #expect(socks.program.errors.text.contains("path=direct"))
        await stopAll([cluster.server, agent.program, socks.program])
    }

    /// Also where the tests run as root: what a program may do only then is noticed nowhere else.
    @Test func `an agent without any capability connects to its targets, and sends datagrams there`() async throws {
        let cluster = try await Cluster(.quic)
        let words = ["--agent", "egress", cluster.url, "--ca-cert", cluster.certificates.authority]
        let agent = try RunningProgram(
            "/usr/bin/setpriv",
            (getuid() == 0 ? ["--bounding-set=-all", "--inh-caps=-all"] : ["--inh-caps=-all"])
                + [RunningProgram.folder + "/rtun-agent", "--allow", "127.0.0.0/8"] + words,
            environment: ["RTUN_SECRET": Cluster.secret])
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready") }
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        try await onThread { try connection.send([1, 2, 3]) }
        #expect(try await onThread { try connection.receive(exactly: 3) } == [1, 2, 3])
        let target = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(target.port)"])
        let answer = try await onThread {
            try DatagramSocket(connectedTo: relay.port).answer(to: [4, 5, 6], within: .seconds(10))
        }
        #expect(answer == [4, 5, 6])
        await stopAll([cluster.server, agent, socks.program, relay.program])
    }

    @Test(arguments: ["direct", "bridge"])
    func `all programs carry connections and datagrams with cubic`(choice: String) async throws {
        let cluster = try await Cluster(.quic, serverOptions: ["--congestion", "cubic"])
        let options = ["--p2p", choice, "--congestion", "cubic"]
        let agent = try await cluster.agent("egress", options: options)
        let file = try cluster.folder.write(
            "rtun.toml", "[rtun-socks]\np2p = \"\(choice)\"\ncongestion = \"cubic\"\n")
        let socks = try await cluster.socks(options: ["--config", file])
        let echo = try TCPService.echo()
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port)
        let sent = (0..<8 * Self.megabyte).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        async let sending: Void = onThread {
            try connection.send(sent)
            connection.shutdownSending()
        }
        let answer = try await onThread { try connection.receiveToEnd() }
        try await sending
        #expect(SHA256.hash(answer) == SHA256.hash(sent))

        let target = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(target.port)"], options: options)
        let datagram = [UInt8](repeating: 7, count: 1000)
        let echoed = try await onThread {
            try DatagramSocket(connectedTo: relay.port).answer(to: datagram, within: .seconds(10))
        }
        #expect(echoed == datagram)
        await stopAll([cluster.server, agent.program, socks.program, relay.program])
    }

    @Test func `a tunnel carries more than a thousand connections, and further ones wait for room`() async throws {
        var limit = rlimit()
        _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let cluster = try await Cluster(.quic)
        let agent = try await cluster.agent("egress", options: ["--max-streams", "1257"])
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        var connections: [BlockingSocket] = []
        for _ in 0..<1100 {
            connections.append(try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port))
        }
        let next = Task { try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port) }
        try await ContinuousClock().sleep(for: .milliseconds(300))
        #expect(connections.count == 1100)
        connections.removeFirst()
        let late = try await next.value
        try await onThread {
            try late.send("late")
            let answer = try late.receive(exactly: 4)
            #expect(answer == Array("late".utf8))
        }
        connections = []
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `200 connections are open at once and each gets its own bytes back`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let echo = try TCPService.echo()
        let connections = try await withThrowingTaskGroup(of: BlockingSocket.self) { group in
            for _ in 0..<200 {
                group.addTask { try await SOCKSTestClient.connect5(proxy: socks.port, port: echo.port) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(connections.count == 200)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, connection) in connections.enumerated() {
                group.addTask {
                    let sent = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 50_000 + number)
                    let answer = try await onThread {
                        try connection.send(sent)
                        connection.shutdownSending()
                        return try connection.receiveToEnd()
                    }
                    #expect(answer == sent)
                }
            }
            try await group.waitForAll()
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }

    @Test(arguments: SignalScheme.allCases)
    func `1 GB goes through with every process below 80 MB`(scheme: SignalScheme) async throws {
        let cluster = try await Cluster(scheme)
        let agent = try await cluster.agent("egress")
        let socks = try await cluster.socks()
        let chunk = [UInt8](repeating: 0x5A, count: Self.megabyte)
        let source = try TCPService { connection in
            for _ in 0..<1024 { try connection.send(chunk) }
            connection.shutdownSending()
            _ = try connection.receiveToEnd()
        }
        let connection = try await SOCKSTestClient.connect5(proxy: socks.port, port: source.port)
        let received = try await onThread {
            var count = 0
            while true {
                let bytes = try connection.receive(1 << 18)
                if bytes.isEmpty { return count }
                count += bytes.count
            }
        }
        #expect(received == 1024 * Self.megabyte)
        for program in [cluster.server, agent.program, socks.program] {
            let peak = try program.residentBytes().peak
            #expect(peak > 0 && peak < 80_000_000, "\(program.name) held \(peak) bytes")
        }
        await stopAll([cluster.server, agent.program, socks.program])
    }
}
