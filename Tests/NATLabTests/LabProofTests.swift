import Foundation
import TestSupport
import Testing

/// The lab is what it says it is: nothing that the other tests say about our programs is worth more than this.
@Suite(
    .serialized, .timeLimit(.minutes(4)),
    .enabled(if: EgressNamespace.isAvailable, "needs root, to make network namespaces"))
struct LabProofTests {
    @Test func `each kind of NAT is what its name says`() async throws {
        // Two sides prove two kinds, and a third one with both families a fourth.
        for pair in NATKind.all.indices where pair % 2 == 0 {
            let (client, agent) = (NATKind.all[pair], NATKind.all[pair + 1])
            let lab = try await NATLab(client: client, agent: agent)
            #expect(try await lab.prove() == client.probe(of: "client") + agent.probe(of: "agent"))
        }
        let (client, agent) = (NATKind.dual(.symmetric), NATKind.dual(.carrier, .open))
        let lab = try await NATLab(client: client, agent: agent)
        #expect(try await lab.prove() == client.probe(of: "client") + agent.probe(of: "agent"))
    }

    @Test func `packets above the MTU vanish in both directions, without ICMP`() async throws {
        let lab = try await NATLab(client: .dual(.port), agent: .dual(.carrier, .open))
        for side in NATLab.Side.allCases {
            for bytes in [1500, 1400, 1280] {
                try await lab.change("mtu \(side) \(bytes)")
                let lines = try await lab.measure(side).split(separator: "\n")
                #expect(lines.count == 2)
                for line in lines {
                    #expect(line.contains("carries \(bytes) up and \(bytes) down without a word"), "\(line)")
                }
            }
        }
    }

    @Test(arguments: [2, 10]) func `the chosen share of packets is lost, in both families`(percent: Int) async throws {
        let lab = try await NATLab(client: .dual(.port), agent: .open)
        try await lab.change("loss client \(percent)")
        let lines = try await lab.measure(.client).split(separator: "\n")
        #expect(lines.count == 2)
        for line in lines {
            let words = line.split(separator: " ")
            let losses = words.indices.filter { words[$0] == "%" }.compactMap { Double(words[$0 - 1]) }
            #expect(losses.count == 2)
            // Of a thousand: six times the standard deviation, once in a billion.
            let margin = 6 * (1000 * Double(percent) / 100 * (1 - Double(percent) / 100)).squareRoot() / 10
            for loss in losses { #expect(abs(loss - Double(percent)) < margin, "\(line)") }
        }
    }

    @Test func `packets take as long as the chosen delay`() async throws {
        let lab = try await NATLab(client: .dual(.port), agent: .ipv6)
        for (client, agent) in [(15, 30), (0, 15), (0, 0)] {
            try await lab.change("delay client \(client)")
            try await lab.change("delay agent \(agent)")
            for (side, delay) in [(NATLab.Side.client, client), (.agent, agent)] {
                // The shortest of ten round trips; on a busy machine all of them may be longer.
                var lines: [Substring] = []
                for _ in 0..<5 {
                    lines = try await lab.measure(side).split(separator: "\n")
                    let taken = lines.map { $0.split(separator: " ").dropLast().last.flatMap { Double($0) } ?? -1 }
                    #expect(taken.allSatisfy { $0 >= Double(2 * delay) }, "\(lines)")
                    if taken.allSatisfy({ $0 < Double(2 * delay + 5) }) { lines = [] }
                    if lines.isEmpty { break }
                }
                #expect(lines.isEmpty, "longer than \(2 * delay) ms and 5: \(lines)")
            }
        }
    }

    @Test func `a side that switches has another address behind another NAT of its kind`() async throws {
        let lab = try await NATLab(client: .dual(.symmetric), agent: .carrier)
        let proof = try await lab.prove()
        func addresses(_ side: NATLab.Side) async throws -> [String] {
            let program = try lab.launch(
                "/usr/sbin/ip", on: side.rawValue, ["-brief", "address", "show", "scope", "global"])
            _ = try await program.end()
            return program.output.lines.flatMap { $0.split(separator: " ").map(String.init) }.filter {
                $0.contains("/")
            }
        }
        let monitor = try lab.launch("/usr/sbin/ip", on: "client", ["monitor", "address"])
        // It says nothing when it is ready.
        try await Task.sleep(for: .milliseconds(300))
        #expect(try await addresses(.client) == ["192.0.2.2/26", "2001:db8:1::2/64"])
        #expect(try await addresses(.agent) == ["192.0.2.130/26"])
        try await lab.change("switch client")
        try await lab.change("switch agent")
        #expect(try await addresses(.client) == ["192.0.2.66/26", "2001:db8:2::2/64"])
        #expect(try await addresses(.agent) == ["192.0.2.194/26"])
        #expect(try await lab.prove() == proof)
        try await lab.change("switch client")
        #expect(try await addresses(.client) == ["192.0.2.2/26", "2001:db8:1::2/64"])
        #expect(try await lab.prove() == proof)
        #expect(monitor.output.text.contains("192.0.2.66/26"))
        await monitor.kill9()
    }

    @Test func `the server can be out of reach for one side or for both`() async throws {
        let lab = try await NATLab(client: .dual(.port), agent: .port)
        let proof = try await lab.prove()
        try await lab.change("cut client on")
        #expect(try await lab.prove() == ["client: no UDP", "client over IPv6: no UDP", proof[2]])
        try await lab.change("cut client off")
        #expect(try await lab.prove() == proof)
        try await lab.change("cut server on")
        #expect(try await lab.prove() == ["client: no UDP", "client over IPv6: no UDP", "agent: no UDP"])
        try await lab.change("cut server off")
        #expect(try await lab.prove() == proof)
    }

    @Test func `a blocked side reaches the server, but no peer`() async throws {
        let lab = try await NATLab(client: .open, agent: .open)
        let proof = try await lab.prove()
        let echo = try await Self.startEcho(in: lab)
        let answered = { try await Self.isAnswered(in: lab) }
        #expect(try await answered())
        #expect(try await lab.count(.client) ?? 0 > 0)
        try await lab.change("block client on")
        #expect(try await lab.prove() == proof)
        #expect(try await !answered())
        try await lab.change("block client off")
        #expect(try await answered())
        await echo.kill9()
    }

    /// Whether an echo at the agent, which is behind no NAT, answers the client.
    private static func isAnswered(in lab: NATLab) async throws -> Bool {
        let asking = try lab.launch(
            "/usr/bin/python3", on: "client",
            [
                "-c",
                """
                import socket
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.settimeout(0.2)
                for _ in range(5):
                    s.sendto(b"hello", ("192.0.2.130", 7000))
                    try:
                        print(s.recv(100))
                        break
                    except TimeoutError:
                        pass
                """,
            ])
        _ = try await asking.end()
        return asking.output.lines.count == 1
    }

    private static func startEcho(in lab: NATLab) async throws -> RunningProgram {
        let echo = try lab.launch(
            "/usr/bin/python3", on: "agent",
            [
                "-c",
                """
                import socket
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind(("192.0.2.130", 7000))
                print("serving", flush=True)
                while True:
                    s.sendto(*s.recvfrom(100))
                """,
            ])
        _ = try await echo.line("the echo") { $0 == "serving" }
        return echo
    }

    /// The probe, which asks servers, does not see what makes these two differ from kind port.
    @Test func `server-only blocks peers, and carrier is two NATs`() async throws {
        let lab = try await NATLab(client: .serverOnly, agent: .open)
        let echo = try await Self.startEcho(in: lab)
        #expect(try await !Self.isAnswered(in: lab))
        let other = try await NATLab(client: .carrier, agent: .open)
        let second = try await Self.startEcho(in: other)
        #expect(try await Self.isAnswered(in: other))
        let addresses = try other.launch("/usr/sbin/ip", on: "client-nat", ["-brief", "-4", "address", "show"])
        _ = try await addresses.end()
        // The first NAT's outside is no public address.
        #expect(addresses.output.text.contains("wan"), "\(addresses.output.text)")
        #expect(!addresses.output.text.contains("203.0.113."), "\(addresses.output.text)")
        let outside = try other.launch("/usr/sbin/ip", on: "client-carrier", ["-brief", "-4", "address", "show"])
        _ = try await outside.end()
        #expect(outside.output.text.contains("203.0.113."), "\(outside.output.text)")
        await stopAll([echo, second])
    }
}
