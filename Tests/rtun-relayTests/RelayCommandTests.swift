import ArgumentParser
import NIOCore
import Testing

@testable import rtun_relay

@Suite struct RelayCommandTests {
    private static let url = "quic://127.0.0.1:8888"

    private func parse(_ arguments: String...) throws -> RelayCommand {
        try RelayCommand.parse(arguments + [Self.url])
    }

    @Test func `the original command line is understood word for word`() throws {
        let command = try self.parse(
            "-L", "udp://0.0.0.0:15353?to=8.8.8.8:53", "-L", "0.0.0.0:15354?to=8.8.4.4:53", "--secret", "sec123",
            "--quic-insecure")
        #expect(
            command.relay.rules.map(\.description) == [
                "udp://0.0.0.0:15353?to=8.8.8.8:53", "udp://0.0.0.0:15354?to=8.8.4.4:53",
            ])
        #expect(command.relay.idleTimeout == .seconds(120))
        #expect(command.relay.maximumPayload == nil)
        #expect(command.relay.maximumFlows == 65_536)
        #expect(command.server.quicInsecure)
        #expect(command.peers.congestion == .bbr)
    }

    @Test(arguments: [
        ("120s", TimeAmount.seconds(120)), ("2m", .minutes(2)), ("90", .seconds(90)), ("1.5m", .seconds(90)),
    ])
    func `times have a unit or count seconds`(text: String, timeout: TimeAmount) throws {
        let command = try self.parse("-L", "127.0.0.1:1?to=127.0.0.1:2", "--udp-idle-timeout", text)
        #expect(command.relay.idleTimeout == timeout)
    }

    @Test(
        arguments: [
            (["-L", "127.0.0.1:1?to=127.0.0.1:2", "--udp-max-payload", "1410"], "the largest possible value is 1409"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:2", "--udp-max-payload", "99999"], "the largest possible value is 1409"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:2", "--udp-max-payload", "0"], "must be at least 1"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:2", "--udp-idle-timeout", "1ms"], "at least 100ms"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:2", "--max-flows", "0"], "--max-flows must be from 1 to"),
            (["-L", "127.0.0.1:1?to=127.0.0.1:2", "--congestion", "reno"], "'bbr' and 'cubic'"),
            (["-L", "tcp://127.0.0.1:1?to=ssh.example:22"], "rtun-socks connects to names"),
            (
                ["-L", "tcp://127.0.0.1:1?to=127.0.0.1:2", "-L", "tcp://0.0.0.0:1?to=127.0.0.1:3"],
                "another rule listens"
            ),
            ([], "no rule given"),
        ] as [([String], String)])
    func `a mistake is refused with what would be right`(arguments: [String], words: String) {
        do {
            _ = try RelayCommand.parse(arguments + [Self.url])
            Issue.record("\(arguments) was accepted")
        } catch {
            #expect(RelayCommand.message(for: error).contains(words))
            #expect(RelayCommand.exitCode(for: error).rawValue == 64)
        }
    }

    @Test func `the congestion control of the control connection is read`() throws {
        let command = try self.parse("-L", "127.0.0.1:1?to=127.0.0.1:2", "--congestion", "cubic")
        #expect(command.peers.congestion == .cubic)
        #expect(RelayCommand.helpMessage(columns: 200).contains("udp rules have no congestion control"))
    }

    @Test func `one limit is for senders and for connections, which have less of them by default`() throws {
        let byDefault = try self.parse("-L", "tcp://127.0.0.1:1?to=127.0.0.1:2").relay
        #expect(byDefault.rules.map(\.transport) == [.tcp])
        #expect(byDefault.maximumFlows == 65_536)
        #expect(byDefault.maximumConnections == 4096)
        let limited = try self.parse("-L", "tcp://127.0.0.1:1?to=127.0.0.1:2", "--max-flows", "7").relay
        #expect(limited.maximumFlows == 7)
        #expect(limited.maximumConnections == 7)
    }

    @Test func `the list of agents needs no rule, and the largest payload is possible`() throws {
        #expect(try self.parse("--list-agents").agents.list)
        let command = try self.parse("-L", "127.0.0.1:1?to=127.0.0.1:2", "--udp-max-payload", "1409")
        #expect(command.relay.maximumPayload == 1409)
    }
}
