package import AgentChoice
import AppProto
import CommandSupport
import NIOCore
package import Signaling

/// `--list-agents`: connects, asks once, prints.
package struct AgentListing {
    /// Unlike the proxy, a person at a terminal doesn't want to wait for ever.
    private static let timeout = TimeAmount.seconds(10)

    private let control: SignalClient
    private let pattern: AgentNamePattern
    private let keys: AgentKeys?

    /// - Parameter keys: what agents are known by; nil: it makes no difference.
    package init(control: SignalClient, pattern: AgentNamePattern, keys: AgentKeys? = nil) {
        self.keys = keys
        self.control = control
        self.pattern = pattern
    }

    /// Prints the table. Throws a `ProgramError`.
    package func run() async throws {
        StartupSignals.giveBack()
        let agents = try await Self.list(self.control)
        let table = AgentTable(
            agents: agents.filter { self.pattern.matches($0.name) },
            standing: self.keys.map { keys in { keys.standing(of: $0).rawValue } })
        try StandardStream.output.writeAnswer(table.text)
    }

    private static func list(_ control: SignalClient) async throws -> [AgentInfo] {
        let promise = control.eventLoop.makePromise(of: [AgentInfo].self)
        let timeout = control.eventLoop.scheduleTask(in: Self.timeout) {
            promise.fail(
                ProgramError(
                    .unavailable,
                    "no list of agents from \(control.configuration.server) within 10 s; the log above says why"))
        }
        try await control.eventLoop.submit {
            control.setDelegate(Asker(client: control, promise: promise))
        }.get()
        let connection = Task {
            let terminal = await control.run()
            promise.fail(terminal.programError ?? ProgramError(.unavailable, "\(terminal)"))
        }
        defer {
            timeout.cancel()
            control.stop()
        }
        let agents = try await promise.futureResult.get()
        control.stop()
        await connection.value
        return agents
    }

    /// Asks for the list on the first connection, and again on the next one if that is lost before the answer.
    private final class Asker: SignalClientDelegate {
        private let client: SignalClient
        private let promise: EventLoopPromise<[AgentInfo]>

        init(client: SignalClient, promise: EventLoopPromise<[AgentInfo]>) {
            self.client = client
            self.promise = promise
        }

        func signalConnected(_ session: SignalSession) {
            let promise = self.promise
            self.client.agents(timeout: .seconds(10)).whenSuccess { promise.succeed($0) }
        }

        func signalLost() {}

        func signalReceived(_ request: SignalRequest) {
            request.failUnsupported()
        }

        func signalReceived(event: Envelope.Body) {}
    }
}
