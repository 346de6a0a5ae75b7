import Foundation
import TestSupport
import Testing

private enum Browser {
    static let isThere: Bool = {
        let isThere = FileManager.default.isExecutableFile(atPath: "/usr/bin/chromium")
        precondition(
            isThere || ProcessInfo.processInfo.environment["CI"] != "true", "make setup has not brought chromium")
        return isThere
    }()
}

/// The status page in a real browser.
@Suite(
    .timeLimit(.minutes(4)),
    .enabled(if: Browser.isThere, "chromium is not there"))
struct StatusPageTests {
    private static let hostileName = #"<img src=x onerror="document.title='hacked'">'&"#

    /// What the page was like at the end.
    private struct Report: Decodable {
        let complaints: [String]
        let text: String
        let width: Int
        let title: String
    }

    private func browser(_ place: String, width: Int = 1200, _ scripts: [String]) throws -> RunningProgram {
        try RunningProgram(
            Interpreter.python,
            [Interpreter.script("status_page.py"), "http://\(place)/", "\(width)"] + scripts)
    }

    private func passed(_ index: Int, _ browser: RunningProgram) async throws {
        _ = try await browser.line(within: .seconds(60), "the page") { $0 == #"{"true": \#(index)}"# }
    }

    private func report(_ browser: RunningProgram) async throws -> Report {
        #expect(try await browser.end(within: .seconds(60)) == .exit(0), "\(browser.errors.text)")
        let line = try #require(browser.output.lines.last { $0.contains("complaints") })
        return try JSONDecoder().decode(Report.self, from: Data(line.utf8))
    }

    private func place(of program: RunningProgram) async throws -> String {
        let line = try await program.logLine("where the status is") { $0.contains("event=admin.listening") }
        return try #require(Cluster.readyField("admin", in: line))
    }

    private static let isReady = "document.getElementById('state').className === 'ready'"

    @Test func `the page loads, shows what happens, moves, and says when it cannot`() async throws {
        let cluster = try await Cluster(.quic)
        let agent = try cluster.launchAgent(Self.hostileName)
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let (socks, port) = try await cluster.socks(options: ["--admin", "127.0.0.1:0"])
        let echo = try TCPService.echo()
        let browser = try self.browser(
            try await self.place(of: socks),
            [
                Self.isReady, "document.body.innerText.includes('127.0.0.1:\(echo.port)')",
                // Something has moved, and is plotted.
                "document.getElementById('down').textContent !== '0 B/s'",
                "document.querySelector('#chart .line').getAttribute('d').split('L').length > 1",
                "!document.body.innerText.includes('127.0.0.1:\(echo.port)')",
                "document.getElementById('state').className === 'away'",
            ])
        try await self.passed(0, browser)
        let client = try await SOCKSTestClient.connect5(proxy: port, port: echo.port)
        try await self.passed(1, browser)
        let sending = Task {
            while !Task.isCancelled {
                try await onThread {
                    try client.send(Array(repeating: 1, count: 10_000))
                    _ = try client.receive(exactly: 10_000)
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        try await self.passed(3, browser)
        sending.cancel()
        _ = await sending.result
        client.shutdownSending()
        try await self.passed(4, browser)
        await socks.kill9()
        let report = try await self.report(browser)
        // That nobody answers any more.
        let complaints = report.complaints.filter { !$0.contains("ERR_CONNECTION_REFUSED") }
        #expect(complaints.isEmpty)
        #expect(report.text.contains(Self.hostileName))
        #expect(report.title == "(!) rtun-socks · \(Self.hostileName)")
        await stopAll([cluster.server, agent])
    }

    @Test(arguments: [1200, 320])
    func `each program's page loads on a desk and on a phone`(width: Int) async throws {
        let admin = ["--admin", "127.0.0.1:0"]
        let cluster = try await Cluster(.quic, serverOptions: admin)
        let agent = try cluster.launchAgent(Self.hostileName, options: admin)
        _ = try await agent.line("the ready line") { $0.hasPrefix("rtun-agent ready ") }
        let (socks, port) = try await cluster.socks(options: admin)
        let echo = try UDPEchoService()
        let relay = try await cluster.relay(["127.0.0.1:0?to=127.0.0.1:\(echo.port)"], options: admin)
        let target = try TCPService.echo()
        let client = try await SOCKSTestClient.connect5(proxy: port, port: target.port)
        for program in [cluster.server, agent, socks, relay.program] {
            let browser = try self.browser(
                try await self.place(of: program), width: width,
                [
                    "\(Self.isReady) && document.querySelectorAll('tbody tr').length > 0",
                    "document.querySelectorAll('img, b').length === 0",
                ])
            let report = try await self.report(browser)
            #expect(report.complaints.isEmpty)
            #expect(report.width <= width, "\(program.name) is wider than \(width)")
            #expect(report.text.contains(Self.hostileName))
            #expect(report.title.hasPrefix(program.name))
        }
        client.shutdownSending()
        await stopAll([cluster.server, agent, socks, relay.program])
    }
}
