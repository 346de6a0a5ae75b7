package import AppProto
package import NIOCore

extension SignalClient {
    /// Agents asked for at a time: mostly all of them, in some 80 KiB.
    private static var agentsPerPage: UInt32 { 1024 }
    /// More than any server has agents.
    private static var maximumPages: Int { 1024 }

    /// All registered agents, those first that clients prefer. Fails with `SignalError`.
    ///
    /// - Parameter timeout: how long each page may take.
    package func agents(timeout: TimeAmount) -> EventLoopFuture<[AgentInfo]> {
        self.agents(timeout: timeout, after: "", found: [], pages: Self.maximumPages)
    }

    private func agents(
        timeout: TimeAmount, after cursor: String, found: [AgentInfo], pages: Int
    ) -> EventLoopFuture<[AgentInfo]> {
        self.request(.listAgents(ListAgents(limit: Self.agentsPerPage, after: cursor)), timeout: timeout)
            .flatMapThrowing { answer in
                guard case .agentList(let list) = answer else { throw SignalError.unexpectedAnswer }
                return list
            }
            .flatMap { (list: AgentList) in
                let found = found + list.agents
                // A server of 0.1 lists all that it can at once, and says no more.
                guard !list.next.isEmpty, list.next != cursor, pages > 1 else {
                    return self.eventLoop.makeSucceededFuture(found)
                }
                return self.agents(timeout: timeout, after: list.next, found: found, pages: pages - 1)
            }
    }
}
