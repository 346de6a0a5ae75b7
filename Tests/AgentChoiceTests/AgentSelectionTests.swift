import NIOCore
import Testing

@testable import AgentChoice

private func agent(_ name: String, _ instance: String = "a", expires: UInt64? = nil) -> Agent {
    Agent(key: AgentKey(name: name, instance: instance), expiry: expires)
}

private func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1000 + seconds) }

@Suite struct `agent selection` {
    private func names(_ agents: [Agent]) -> [String] { agents.map(\.name) }

    @Test func `never-expiring agents come first, then the latest expiry`() throws {
        let selection = AgentSelection(pattern: try AgentNamePattern())
        let agents = [
            agent("soon", expires: 10), agent("never"), agent("late", expires: 99),
            agent("always"),
        ]
        #expect(self.names(selection.ranked(agents, at: at(0))) == ["always", "never", "late", "soon"])
        #expect(self.names(selection.ranked(agents.reversed(), at: at(0))) == ["always", "never", "late", "soon"])
    }

    @Test(arguments: [
        (".*", ["home", "home-2", "office"]), ("home", ["home"]), ("home.*", ["home", "home-2"]),
        ("^home$", ["home"]), ("(?i)OFFICE", ["office"]), ("h|home-2", ["home-2"]), ("ome", []), ("", []),
    ])
    func `the pattern has to match the whole name`(pattern: String, expected: [String]) throws {
        let selection = AgentSelection(pattern: try AgentNamePattern(pattern))
        let agents = [agent("home"), agent("home-2"), agent("office")]
        #expect(self.names(selection.ranked(agents, at: at(0))) == expected)
    }

    @Test func `a pattern that does not compile says so`() throws {
        let error = try #require(throws: AgentNamePatternError.self) { try AgentNamePattern("home(") }
        #expect(error.description.hasPrefix("'home(' is not a regular expression: "))
    }

    @Test func `the bound agent stays first while it works`() throws {
        var selection = AgentSelection(pattern: try AgentNamePattern())
        let agents = [agent("never"), agent("soon", expires: 1)]
        selection.bind(agents[1].key)
        #expect(self.names(selection.ranked(agents, at: at(0))) == ["soon", "never"])
        selection.markFailed(agents[1].key, at: at(1))
        #expect(self.names(selection.ranked(agents, at: at(1))) == ["never", "soon"])
        selection.unbind()
        #expect(selection.bound == nil)
    }

    @Test func `a new instance under the bound name is another agent`() throws {
        var selection = AgentSelection(pattern: try AgentNamePattern())
        selection.bind(agent("x", "a", expires: 1).key)
        let agents = [agent("x", "b", expires: 1), agent("y", "c", expires: 2)]
        #expect(self.names(selection.ranked(agents, at: at(0))) == ["y", "x"])
        selection.markFailed(agent("y", "d").key, at: at(0))
        #expect(self.names(selection.ranked(agents, at: at(0))) == ["y", "x"])
    }

    @Test func `failed agents come last, the oldest failure first, until they are forgiven`() throws {
        var selection = AgentSelection(pattern: try AgentNamePattern(), penalty: .seconds(30))
        let agents = [agent("a"), agent("b"), agent("c")]
        selection.markFailed(agents[1].key, at: at(0))
        selection.markFailed(agents[0].key, at: at(5))
        #expect(self.names(selection.ranked(agents, at: at(5))) == ["c", "b", "a"])
        #expect(self.names(selection.ranked(agents, at: at(30))) == ["b", "c", "a"])
        #expect(self.names(selection.ranked(agents, at: at(35))) == ["a", "b", "c"])
        selection.markFailed(agents[0].key, at: at(40))
        selection.bind(agents[0].key)
        #expect(self.names(selection.ranked(agents, at: at(40))) == ["a", "b", "c"])
    }

    @Test func `attempts on a failing agent are spaced out`() throws {
        var selection = AgentSelection(pattern: try AgentNamePattern())
        let key = agent("a").key
        #expect(selection.retryTime(of: key) == nil)
        var waits: [Int64] = []
        for _ in 0..<7 {
            selection.markFailed(key, at: at(0))
            waits.append(((selection.retryTime(of: key) ?? at(0)) - at(0)).nanoseconds / 1_000_000)
        }
        #expect(waits == [500, 1000, 2000, 4000, 8000, 8000, 8000])
        selection.bind(key)
        #expect(selection.retryTime(of: key) == nil)
        selection.markFailed(key, retryAtOnce: true, at: at(3))
        #expect(selection.retryTime(of: key) == at(3))
    }
}
