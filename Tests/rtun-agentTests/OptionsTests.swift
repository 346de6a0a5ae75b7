import ArgumentParser
import NIOCore
import Testing

@testable import rtun_agent

@Suite struct OptionsTests {
    @Test func `allow and deny keep the order in which they were given`() throws {
        let options = try EgressOptions.parse([
            "--allow", "10.0.0.0/8", "--deny", "192.0.2.0/24:80", "--allow=2001:db8::/32", "--deny", "*",
        ])
        #expect(
            options.rules == [
                try EgressRule(.allow, parsing: "10.0.0.0/8"), try EgressRule(.deny, parsing: "192.0.2.0/24:80"),
                try EgressRule(.allow, parsing: "2001:db8::/32"), try EgressRule(.deny, parsing: "*"),
            ])
    }

    @Test(arguments: [
        ["--expire_in", "60"], ["--expire-in", "60"], ["--expire_in=1h"], ["--expire-in", "3600s"],
    ])
    func `the time to expiry counts minutes under both spellings`(arguments: [String]) throws {
        #expect(try RegistrationOptions.parse(arguments).expireIn == .minutes(60))
    }

    @Test func `labels are keys and values`() throws {
        let options = try RegistrationOptions.parse([
            "--label", "site=Köln", "--label", "note=a=b", "--label", "empty=",
        ])
        #expect(options.labels == ["site": "Köln", "note": "a=b", "empty": ""])
        #expect(try RegistrationOptions.parse(["--agent", "office"]).name() == "office")
        #expect(try !RegistrationOptions.parse([]).name().isEmpty)
    }

    @Test(arguments: [
        ["--expire_in", "0"], ["--expire_in", "soon"], ["--expire_in", "-1"], ["--label", "x"], ["--label", "=x"],
        ["--label", "a=1", "--label", "a=2"], ["--agent", ""], ["--agent", "a\nb"], ["--label", "a=\u{1B}[31m"],
    ])
    func `what cannot be registered is refused`(arguments: [String]) {
        #expect(throws: (any Error).self) { try RegistrationOptions.parse(arguments) }
    }

    @Test func `a congestion control is read, and a wrong one refused with what would be right`() throws {
        let url = "quic://127.0.0.1:8888"
        #expect(try AgentCommand.parse([url]).peers.congestion == .bbr)
        #expect(try AgentCommand.parse(["--congestion", "cubic", url]).peers.congestion == .cubic)
        let error = try #require(throws: (any Error).self) { try AgentCommand.parse(["--congestion", "reno", url]) }
        #expect(AgentCommand.exitCode(for: error).rawValue == 64)
        #expect(AgentCommand.message(for: error).contains("'reno' is invalid for '--congestion <algorithm>'"))
    }

    @Test(arguments: [
        ["--allow", "example.org"], ["--deny", "10.0.0.1/8"], ["--max-peers", "0"], ["--max-streams", "x"],
    ])
    func `an egress option that makes no sense is refused`(arguments: [String]) {
        #expect(throws: (any Error).self) { try EgressOptions.parse(arguments) }
    }
}
