import AppProto
import NIOCore

extension SignalClientConfiguration {
    /// What an agent's process of this age asks for; nil for a client.
    ///
    /// - Parameters:
    ///   - resumeToken: of the last `Welcome`, or empty.
    ///   - isReturning: whether a server has taken the process before.
    func registration(
        at age: TimeAmount, for term: RegistrationTerm, resumeToken: [UInt8], isReturning: Bool
    ) -> AgentRegistration? {
        guard case .agent(let name, _, let labels) = self.role else { return nil }
        let process = AgentProcess(
            nonce: self.process.nonce, aliveMilliseconds: UInt64(max(0, age.nanoseconds / 1_000_000)),
            isReturning: isReturning)
        return AgentRegistration(
            name: name, expireInMilliseconds: term.remainingMilliseconds(at: age), labels: labels,
            resumeToken: resumeToken, process: self.identity == nil ? nil : process)
    }
}
